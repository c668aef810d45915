// The player of a video's page: in step with the bars below it, frame by frame. Frames are Label Studio's, 1 being the first.
"use strict";

(() => {
  const player = document.getElementById("player");
  if (!player) return;
  const [film, deck, now, said, told] = ["film", "deck", "now", "now-said", "film-said"].map((id) => document.getElementById(id));
  const scrub = document.getElementById("scrub"), only = document.getElementById("only"), speed = document.getElementById("speed");
  const bars = [...document.querySelectorAll(".strips .strip-bar[data-percent]")];
  const percent = bars.map((bar) => [bar.dataset.label, bar.dataset.percent.split(",").map(Number)]);
  const last = Number(scrub.max);
  // `goal`: the frame that was gone to, until the video plays on. `row`: segments to be played one after the other.
  let times = null, facts = null, frame = Number(scrub.value), goal = null, row = null, unsure = -1, spoken = "", speaking = 0, isNone = false;

  const running = (numbers) => { let sum = 0; return Float64Array.from(numbers, (step) => (sum += step)); };
  // The last position of ascending numbers at which one is not above `most`; 0 where all are.
  const place = (numbers, most) => {
    let [low, high] = [0, numbers.length];
    while (low < high) { const middle = (low + high) >> 1; if (numbers[middle] <= most) low = middle + 1; else high = middle; }
    return Math.max(0, low - 1);
  };

  // `own`: when each picture is due; `seen`: from when on a seek shows it; `shown`: which picture each frame shows.
  function table(buffer) {
    const numbers = new Int32Array(buffer), [pictures, frames] = numbers;
    const own = running(numbers.subarray(2, 2 + pictures));
    const seen = own.map((time, at) => time + numbers[2 + pictures + at]);
    return { own, seen, shown: running(numbers.subarray(2 + 2 * pictures, 2 + 2 * pictures + frames)) };
  }

  // Seconds in the middle of the time for which a frame's picture is seen, so that no rounding shows its neighbor.
  function middle(number) {
    if (!times) return (number - 0.5) / facts.framerate;
    const { own, seen, shown } = times, picture = shown[Math.min(number, shown.length) - 1], begin = seen[picture];
    let next = picture + 1;
    while (next < seen.length && seen[next] <= begin) next++;
    const usual = own.length > 1 ? (own[own.length - 1] - own[0]) / (own.length - 1) : 40000;
    const end = next < seen.length ? seen[next] : Math.max(Math.min(begin + usual, 1e6 * film.duration || begin + usual), begin + 2);
    return Math.floor((begin + end) / 2) / 1e6;
  }

  // The first frame that shows a picture; where none does, the last one before it.
  function frameOf(picture) {
    const { shown } = times, at = place(shown, picture);
    return place(shown, shown[at] - 1) + (shown[0] <= shown[at] - 1 ? 2 : 1);
  }

  // `seconds`: of the painted picture, where the browser tells, else of the clock.
  function painted(seconds, exact) {
    if (!times) return facts ? Math.min(last, Math.max(1, Math.floor(seconds * facts.framerate + 0.01) + 1)) : frame;
    const micro = Math.round(1e6 * seconds), { own, seen, shown } = times;
    let picture = place(exact ? own : seen, micro);
    if (exact && picture + 1 < own.length && own[picture + 1] - micro < micro - own[picture]) picture++;
    if (goal !== null && own[shown[goal - 1]] === own[picture]) return goal;
    return frameOf(picture);
  }

  const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(2).padStart(5, "0")}`;
  const models = () => (facts ? facts.words.find((word) => !word.person) || facts.words[0] : null);
  // The one whose segments are skipped to: the model, or a person where none predicts.
  const segments = () => (models() ? models().regions.filter(([, , labels]) => !only.value || labels.includes(only.value)) : []);

  function sentence() {
    const framerate = facts ? facts.framerate : 24, seconds = (frame - 1) / framerate;
    const here = models() ? models().regions.filter(([start, end]) => start <= frame && frame <= end) : [];
    const chances = percent.map(([label, values]) => [label, values[Math.min(values.length - 1, Math.floor(((frame - 0.5) / last) * values.length))]]);
    const chance = (label) => { const found = chances.find(([name]) => name === label); return found ? ` ${found[1]} %` : ""; };
    const labels = [...new Set(here.flatMap(([, , names]) => names))];
    const says = labels.map((name) => `${name}${chance(name)}`).join(", ") || "nothing";
    const level = facts && facts.sure.length ? facts.sure[Math.min(facts.sure.length - 1, Math.floor(((frame - 0.5) / last) * facts.sure.length))] : null;
    // Where one label is shown as probable as that, it is said already.
    const repeated = labels.length === 1 && chance(labels[0]) === ` ${level} %`;
    const sure = level === null || repeated ? "" : `, ${level} % sure of all labels`;
    return `Frame ${frame} of ${last} at ${clock(seconds)}${models() ? ` · ${models().name}: ${says}${sure}` : ""}`;
  }

  // A screen reader is told where one has come to rest, at most once a second.
  function speak(text) {
    spoken = text;
    if (speaking) return;
    speaking = setTimeout(() => { speaking = 0; if (film.paused || row) said.textContent = spoken; }, 700);
  }

  function show(number) {
    frame = number;
    isNone = false;
    now.textContent = sentence();
    scrub.value = number;
    scrub.dispatchEvent(new Event("shown"));
    if (film.paused) speak(now.textContent);
  }

  function go(number) {
    if (number === undefined || !facts) return;
    goal = Math.min(last, Math.max(1, number));
    show(goal);
    film.currentTime = middle(goal);
  }

  function follow(seconds, exact) {
    if (!film.paused) goal = film.seeking ? goal : null;
    // While the browser still looks for a frame, what it paints is an earlier one.
    if (film.seeking && goal !== null) return;
    const number = painted(seconds, exact);
    if (number !== frame) show(number);
    if (row && !film.paused && !film.seeking && number > row.end) nextInRow();
  }

  if (film.requestVideoFrameCallback) {
    const each = (_time, picture) => { follow(picture.mediaTime, true); film.requestVideoFrameCallback(each); };
    film.requestVideoFrameCallback(each);
  } else {
    const each = () => { if (!film.paused) follow(film.currentTime, false); requestAnimationFrame(each); };
    requestAnimationFrame(each);
  }
  film.addEventListener("seeked", () => { if (film.paused && goal !== null && !isNone) show(goal); });
  film.addEventListener("play", () => label("play", "Pause"));
  film.addEventListener("pause", () => {
    label("play", "Play");
    // The last picture may have come without a word: going to the frame shows the one that is said.
    go(frame);
  });
  film.addEventListener("ended", () => { if (row) nextInRow(); });

  const button = (name) => deck.querySelector(`[data-does=${name}]`);
  const label = (name, text) => { button(name).textContent = text; };
  // It stays to be read, also when the frame that was looked for before has come.
  const none = (what) => { isNone = true; said.textContent = `There is no ${what}.`; now.textContent = `There is no ${what}.`; };

  // The next, or the one before, of ascending frames.
  const after = (frames, back) => (back ? frames.filter((each) => each < frame).pop() : frames.find((each) => each > frame));
  function jump(frames, back, what) {
    const found = after(frames, back);
    if (found === undefined) none(`${back ? "earlier" : "later"} ${what}`);
    else go(found);
  }

  function nextInRow() {
    const found = row.left.shift();
    if (!found) { endRow(row.number === 1 ? "The segment was played." : `All ${row.number} segments were played.`); return; }
    [row.end, goal] = [found[1], null];
    film.currentTime = middle(found[0]);
    film.play().catch(() => endRow(""));
  }

  function endRow(text) {
    row = null;
    button("row").setAttribute("aria-pressed", "false");
    label("row", "Play segments in a row");
    film.pause();
    if (text) said.textContent = text;
  }

  const does = {
    play: () => { if (row) endRow(""); else if (film.paused) { if (frame === last) go(1); film.play().catch(() => {}); } else film.pause(); },
    back: (many) => { film.pause(); go(frame - (many ? 10 : 1)); },
    on: (many) => { film.pause(); go(frame + (many ? 10 : 1)); },
    first: () => go(1),
    last: () => go(last),
    change: (back) => jump(facts.jumps.change, back, "change"),
    difference: (back) => jump(facts.jumps.difference, back, "difference"),
    unsure: (back) => {
      const found = facts.jumps.unsure[unsure + (back ? -1 : 1)];
      if (found === undefined) return none(facts.jumps.unsure.length ? "other place where the model is unsure" : "place where the model is unsure");
      unsure += back ? -1 : 1;
      go(found);
    },
    segment: (back) => jump([...new Set(segments().map(([start]) => start))].sort((one, other) => one - other), back, "segment of this kind"),
    row: () => {
      if (row) return endRow("");
      const left = segments().map(([start, end]) => [start, end]).sort((one, other) => one[0] - other[0]);
      if (!left.length) return none("segment of this kind");
      row = { left, number: left.length, end: 0 };
      button("row").setAttribute("aria-pressed", "true");
      label("row", "Stop");
      nextInRow();
    },
  };
  const keys = { " ": "play", ",": "back", ".": "on", "<": "back", ">": "on", ArrowLeft: "back", ArrowRight: "on", Home: "first", End: "last", c: "change", u: "unsure", d: "difference", n: "segment", p: "row" };
  deck.addEventListener("click", (event) => {
    const name = event.target.closest("button")?.dataset.does;
    if (name && facts) does[name](event.shiftKey);
  });
  player.addEventListener("keydown", (event) => {
    const name = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key], target = event.target;
    if (!name || !facts || event.ctrlKey || event.altKey || event.metaKey || target.closest("select")) return;
    if (event.key === " " && target.closest("button, summary")) return;
    event.preventDefault();
    does[name](event.shiftKey);
  });
  speed.addEventListener("change", () => { film.playbackRate = Number(speed.value); });
  scrub.addEventListener("input", () => { film.pause(); go(Number(scrub.value)); });
  for (const bar of document.querySelectorAll(".strip-bar:has(svg)"))
    bar.addEventListener("click", (event) => {
      const box = bar.getBoundingClientRect();
      go(1 + Math.floor(((event.clientX - box.left) / box.width) * last));
    });
  // Whoever clicks the picture goes on with keys.
  player.querySelector(".screen").addEventListener("click", () => { if (!film.controls) { deck.focus({ preventScroll: true }); does.play(); } });

  film.addEventListener("error", async () => {
    const why = { 401: "Your login does not hold any more. Reload the page.", 404: "The video is not kept here any more. Reload the page, and have it fetched." };
    const answer = await fetch(film.currentSrc, { method: "HEAD" }).catch(() => null);
    const text = !answer ? "The backend does not answer. Try again in a moment." : why[answer.status] || (answer.ok ? told.dataset.unplayable : `The backend answers ${answer.status}. See its log.`);
    [told.hidden, told.textContent] = [false, text.replaceAll("`", "")];
    // Of a video that never plays here nothing is left to be played: no black picture, no keys.
    player.toggleAttribute("data-unplayable", Boolean(answer && answer.ok));
  });

  const got = (address) => fetch(address).then((answer) => (answer.ok ? answer : Promise.reject(new Error(`${answer.status}`))));
  Promise.all([got(player.dataset.facts).then((answer) => answer.json()), player.dataset.times ? got(player.dataset.times).then((answer) => answer.arrayBuffer()) : null])
    .then(([known, buffer]) => {
      [facts, times] = [known, buffer && table(buffer)];
      for (const name of [...new Set(models() ? models().regions.flatMap(([, , labels]) => labels) : [])]) only.append(new Option(name, name));
      film.controls = false;
      player.dataset.ready = "";
      if (scrub.dataset.shown !== undefined) go(Number(scrub.value));
      else show(frame);
    })
    .catch(() => { [told.hidden, told.textContent] = [false, "What is known of the frames could not be loaded. Reload the page."]; });
  // An error may have come before this script.
  if (film.error) film.dispatchEvent(new Event("error"));
})();
