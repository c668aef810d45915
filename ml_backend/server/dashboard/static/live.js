// Refreshes the parts of a page that are marked `data-live`, and says what is under the pointer of a video's timeline.
"use strict";

(() => {
  const seconds = Number(document.body.dataset.liveEvery);
  if (seconds) {
    const refresh = async () => {
      if (!document.hidden && !document.querySelector("[data-live] :is(button, select, input):focus")) {
        try {
          const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
          const text = await answer.text();
          const page = new DOMParser().parseFromString(text, "text/html");
          if (answer.ok) for (const old of document.querySelectorAll("[data-live]")) replace(old, page.getElementById(old.id));
        } catch {
          // The backend is away for a moment; the next round comes.
        }
      }
      setTimeout(refresh, 1000 * seconds);
    };
    setTimeout(refresh, 1000 * seconds);
  }

  const strips = document.querySelector(".strips");
  if (strips) {
    const frames = Number(strips.dataset.frames), length = Number(strips.dataset.seconds);
    const bars = [...document.querySelectorAll(".strips .strip-bar, .beside .strip-bar")].filter((bar) => bar.querySelector("svg"));
    const heat = bars.filter((bar) => bar.dataset.percent).map((bar) => [bar.dataset.label, bar.dataset.percent.split(",")]);
    const scrub = document.getElementById("scrub"), readout = document.getElementById("readout");
    const cursors = bars.map((bar) => bar.appendChild(Object.assign(document.createElement("div"), { className: "cursor", hidden: true })));
    const thumb = document.getElementById("thumb"), picture = thumb ? thumb.dataset : null;
    const pictured = picture ? picture.frames.split(",").map(Number) : [];
    // The room is kept from the beginning, so that nothing moves when a picture comes.
    const stage = document.getElementById("stage") ? staged(thumb, pictured) : null;
    // With a player the picture floats above the bar or the slider that has the pointer or the focus.
    const player = document.getElementById("player");
    if (thumb && player) [thumb.style.width, thumb.style.height] = [`${picture.width}px`, `${picture.height}px`];
    else if (thumb && !stage) [thumb.hidden, thumb.style.width, thumb.style.height] = [false, `${picture.width}px`, `${picture.height}px`];
    const look = (frame, share, bar) => {
      const nearest = pictured.reduce((best, other, at) => (Math.abs(other - frame) < Math.abs(pictured[best] - frame) ? at : best), 0);
      const [width, height, columns] = [picture.width, picture.height, picture.columns].map(Number);
      const left = bars[0].offsetLeft + share * bars[0].offsetWidth - width / 2;
      thumb.style.left = `${Math.max(0, Math.min(left, strips.clientWidth - width))}px`;
      if (player) [thumb.hidden, thumb.style.top] = [false, `${bar.getBoundingClientRect().top - strips.getBoundingClientRect().top - height - 4}px`];
      thumb.style.backgroundImage = `url("${picture.src}")`;
      thumb.style.backgroundPosition = `${-width * (nearest % columns)}px ${-height * Math.floor(nearest / columns)}px`;
    };
    const show = (frame) => {
      const share = (frame - 0.5) / frames, seconds = ((frame - 1) / frames) * length;
      const said = heat.map(([label, percent]) => [label, Number(percent[Math.min(percent.length - 1, Math.floor(share * percent.length))])]);
      said.sort((one, other) => other[1] - one[1]);
      const time = `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(2).padStart(5, "0")}`;
      const sure = said.slice(0, 4).map(([label, percent]) => `${label} ${percent} %`).join(", ");
      readout.textContent = `Frame ${frame} at ${time}${sure ? `: ${sure}` : ""}`;
      if (stage) stage(frame);
      else if (thumb && !player) look(frame, share);
      if (thumb && player && document.activeElement === scrub) look(frame, share, scrub);
      for (const cursor of cursors) [cursor.hidden, cursor.style.left] = [false, `${100 * share}%`];
    };
    scrub.closest("[hidden]").hidden = false;
    for (const event of ["input", "shown"]) scrub.addEventListener(event, () => show(Number(scrub.value)));
    scrub.addEventListener("blur", () => { if (thumb && player) thumb.hidden = true; });
    if (scrub.dataset.shown !== undefined) show(Number(scrub.value));
    for (const bar of bars)
      bar.addEventListener("pointermove", (event) => {
        const box = bar.getBoundingClientRect(), frame = 1 + Math.floor(((event.clientX - box.left) / box.width) * frames);
        if (player) {
          if (thumb) look(frame, (frame - 0.5) / frames, bar);
          return;
        }
        scrub.value = frame;
        show(frame);
      });
    if (thumb && player) for (const bar of bars) bar.addEventListener("pointerleave", () => { thumb.hidden = document.activeElement !== scrub; });
  }

  // Boxes over the nearest picture. Between two key frames Label Studio moves a box evenly; behind one that is off there is none.
  function staged(thumb, pictured) {
    const stage = document.getElementById("stage"), paper = document.getElementById("stage-picture");
    const said = document.getElementById("stage-said"), scrub = document.getElementById("scrub");
    const sheet = thumb ? thumb.dataset : null, order = [...pictured].sort((one, other) => one - other);
    let aspect = paper.firstChild.viewBox.baseVal.width / 100, tracks = [], at = null;
    const box = (keys, frame) => {
      let after = keys.findIndex((key) => key[0] > frame);
      if (after < 0) after = keys.length;
      const key = keys[after - 1], next = keys[after];
      if (!key || (key[0] !== frame && !(key[6] && next))) return null;
      if (!next || key[0] === frame) return key.slice(1, 6);
      const share = (frame - key[0]) / (next[0] - key[0]), turn = ((next[5] - key[5] + 540) % 360) - 180;
      return [1, 2, 3, 4].map((side) => key[side] + share * (next[side] - key[side])).concat(key[5] + share * turn);
    };
    const draw = (name, attributes, text) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      if (text) element.textContent = text;
      return element;
    };
    const show = (frame) => {
      at = frame;
      const width = 100 * aspect, here = tracks.map((track) => [track, box(track.keys, frame)]).filter(([, found]) => found);
      const svg = draw("svg", { viewBox: `0 0 ${width} 100`, "aria-hidden": "true" });
      for (const [track, [x, y, w, h, turn]] of here) {
        const place = { x: x * aspect, y, width: w * aspect, height: h, transform: `rotate(${turn} ${x * aspect} ${y})` };
        svg.append(draw("rect", { ...place, class: "under" }), draw("rect", { ...place, class: track.person ? "box" : "box found", stroke: track.colour }));
        const high = y > 6 ? y - 1.5 : Math.min(y + h + 5, 99);
        svg.append(draw("text", { x: Math.min(Math.max(x * aspect, 0.5), width - (720 * track.name.length) / Math.max(paper.clientHeight, 100)), y: high }, track.name));
      }
      // As large as other small text, however wide the screen is.
      svg.style.fontSize = `${1250 / Math.max(paper.clientHeight, 100)}px`;
      paper.replaceChildren(svg);
      const nearest = pictured.reduce((best, other, place) => (Math.abs(other - frame) < Math.abs(pictured[best] - frame) ? place : best), 0);
      const names = here.map(([track]) => `${track.name} (${track.who})`).join(", ") || "no box";
      said.textContent = `Frame ${frame}: ${names}.`;
      // The boxes are over the video itself.
      if ("film" in paper.dataset) return;
      if (!sheet) {
        said.textContent += " Press “Show pictures” below to see the video behind the boxes.";
        return;
      }
      const columns = Number(sheet.columns), rows = Math.ceil(pictured.length / columns);
      const [column, row] = [nearest % columns, Math.floor(nearest / columns)];
      paper.style.backgroundImage = `url("${sheet.src}")`;
      paper.style.backgroundSize = `${100 * columns}% ${100 * rows}%`;
      paper.style.backgroundPosition = `${columns > 1 ? (100 * column) / (columns - 1) : 0}% ${rows > 1 ? (100 * row) / (rows - 1) : 0}%`;
      paper.classList.toggle("other", pictured[nearest] !== frame);
      if (pictured[nearest] !== frame) said.textContent += ` The picture is of frame ${pictured[nearest]}.`;
    };
    const go = (frame) => {
      if (frame === undefined) return;
      scrub.value = frame;
      scrub.dispatchEvent(new Event("input"));
    };
    const [earlier, later] = [document.getElementById("earlier"), document.getElementById("later")];
    earlier?.addEventListener("click", () => go(order.filter((frame) => frame < Number(scrub.value)).pop()));
    later?.addEventListener("click", () => go(order.find((frame) => frame > Number(scrub.value))));
    fetch(stage.dataset.tracks)
      .then((answer) => (answer.ok ? answer.json() : null))
      .then((found) => {
        if (!found) return;
        [aspect, tracks] = [found.aspect, found.tracks];
        if (at !== null) show(at);
      })
      .catch(() => { said.textContent = "The boxes could not be loaded. Reload the page."; });
    return show;
  }

  function replace(old, fresh) {
    // Where the player was waited for, it comes with a script of its own.
    if (!fresh && "thenReload" in old.dataset) location.reload();
    if (!fresh || fresh.innerHTML === old.innerHTML) return;
    const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    old.innerHTML = fresh.innerHTML;
    if (focused) [...old.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
  }
})();
