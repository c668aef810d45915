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
    const bars = [...strips.querySelectorAll(".strip-bar")].filter((bar) => bar.querySelector("svg"));
    const heat = bars.filter((bar) => bar.dataset.percent).map((bar) => [bar.dataset.label, bar.dataset.percent.split(",")]);
    const scrub = document.getElementById("scrub"), readout = document.getElementById("readout");
    const cursors = bars.map((bar) => bar.appendChild(Object.assign(document.createElement("div"), { className: "cursor", hidden: true })));
    const thumb = document.getElementById("thumb"), picture = thumb ? thumb.dataset : null;
    const pictured = picture ? picture.frames.split(",").map(Number) : [];
    // The room is kept from the beginning, so that nothing moves when a picture comes.
    if (thumb) [thumb.hidden, thumb.style.width, thumb.style.height] = [false, `${picture.width}px`, `${picture.height}px`];
    const look = (frame, share) => {
      const nearest = pictured.reduce((best, other, at) => (Math.abs(other - frame) < Math.abs(pictured[best] - frame) ? at : best), 0);
      const [width, height, columns] = [picture.width, picture.height, picture.columns].map(Number);
      const left = bars[0].offsetLeft + share * bars[0].offsetWidth - width / 2;
      thumb.style.left = `${Math.max(0, Math.min(left, strips.clientWidth - width))}px`;
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
      if (thumb) look(frame, share);
      for (const cursor of cursors) [cursor.hidden, cursor.style.left] = [false, `${100 * share}%`];
    };
    scrub.closest("[hidden]").hidden = false;
    scrub.addEventListener("input", () => show(Number(scrub.value)));
    for (const bar of bars)
      bar.addEventListener("pointermove", (event) => {
        const box = bar.getBoundingClientRect();
        scrub.value = 1 + Math.floor(((event.clientX - box.left) / box.width) * frames);
        show(Number(scrub.value));
      });
  }

  function replace(old, fresh) {
    if (!fresh || fresh.innerHTML === old.innerHTML) return;
    const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    old.innerHTML = fresh.innerHTML;
    if (focused) [...old.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
  }
})();
