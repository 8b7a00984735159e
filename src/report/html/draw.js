// Elements and shapes. What must keep its form at every zoom is placed in per cent and drawn again; what is many, such as
// pauses and curves, is a path in milliseconds that is drawn once and stretched.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes = {}, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// Hatching, for what must be told apart without colour. Patterns are found by id in the whole page.
function patterns() {
  const svg = shape("svg", { width: 0, height: 0, "aria-hidden": "true", class: "hidden" });
  for (const [id, line, step] of [["hatch", "stripes", 5], ["hot-hatch", "hot-stripes", 5]]) {
    const pattern = shape("pattern", { id, width: step, height: step, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    pattern.append(shape("line", { x1: 0, y1: 0, x2: 0, y2: step, class: line }));
    svg.append(pattern);
  }
  return svg;
}

const lanes = [];
const board = document.querySelector(".lanes");

// A lane: name, plot, and a figure at its end. `tell` says in lines what it shows at a moment.
function lane({ name, note, label, tall, side, worst, kind, into = board, tell }) {
  const plot = element("div", { class: "plot" });
  plot.style.setProperty("--tall", `${tall}px`);
  const named = element("div", { class: "name" }, name);
  if (note) named.append(" ", element("small", {}, note));
  const row = element("div", { class: "lane", "data-lane": kind }, named, plot, element("div", { class: worst ? "side worst" : "side" }, side ?? ""));
  into.append(row);
  const made = { row, plot, tall, tell, label: label ?? name };
  lanes.push(made);
  return made;
}

// Where the shown part of a stretch of time lies, and how many pixels it has; nothing if it is not shown.
function visible(from, to) {
  if (to <= view.from || from >= view.to) return undefined;
  const [left, right] = [Math.max(place(from), -0.01), Math.min(place(to), 1.01)];
  const [first, last] = [Math.max(left, 0), Math.min(right, 1)];
  return { left, right, middle: `${50 * (first + last)}%`, room: (last - first) * wide };
}

// The first of several wordings for which there is room.
const fitting = (text, room) => [].concat(text || []).find((words) => words.length * 6 + 6 < room);

// A drawing that is made anew whenever the view changes: `make` adds to it.
function sharp(lane, make) {
  const svg = shape("svg", { "aria-hidden": "true" });
  lane.plot.append(svg);
  drawers.push(() => {
    svg.replaceChildren();
    make({
      // A bar over a stretch of time, never thinner than can be seen; with a text where there is room for it.
      bar(from, to, y, height, look, { text, textLook = "", hatch } = {}) {
        const seen = visible(from, to);
        if (!seen) return;
        const box = { x: `${100 * seen.left}%`, y, width: seen.room < 1.5 ? 1.5 : `${100 * (seen.right - seen.left)}%`, height };
        svg.append(shape("rect", { ...box, class: look }));
        if (hatch) svg.append(shape("rect", { ...box, fill: `url(#${hatch})` }));
        const words = fitting(text, seen.room);
        if (words) svg.append(shape("text", { x: seen.middle, y: y + height / 2, class: `mid ${textLook}` }, words));
      },
      // A label on a ground of its own, in the middle of a stretch of time.
      chip(from, to, y, text) {
        const seen = visible(from, to);
        const words = seen && fitting(text, seen.room);
        if (!words) return;
        const width = words.length * 6 + 10;
        svg.append(shape("rect", { x: seen.middle, y: y - 8, width, height: 16, rx: 8, class: "chip", transform: `translate(${-width / 2} 0)` }));
        svg.append(shape("text", { x: seen.middle, y, class: "mid on-hot" }, words));
      },
      text(ms, y, words, look = "") {
        if (place(ms) >= 0 && place(ms) <= 1) svg.append(shape("text", { x: percent(ms), y, class: look }, words));
      },
      add: (child) => svg.append(child),
    });
  });
}

// A drawing in milliseconds and units of its own, made once.
function stretched(lane, top, bottom, ...paths) {
  const svg = shape("svg", { preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(...paths);
  lane.plot.append(svg);
  drawers.push(() => svg.setAttribute("viewBox", `${view.from} ${top} ${view.to - view.from} ${bottom - top}`));
}

// Pauses, drawn as bars. Shorter ones are mostly the pace of the workload: they are faint, and there may be so many of them
// that those closer than a pixel are drawn as one.
const EMPHASIS_MS = 1000;

function pauseBars(lane, pauses, faint, strong, look, label) {
  const path = shape("path", { class: `${look} slight` });
  const short = pauses.filter((pause) => pause[1] < EMPHASIS_MS);
  const long = pauses.filter((pause) => pause[1] >= EMPHASIS_MS);
  stretched(lane, 0, lane.tall, path);
  drawers.push(() => path.setAttribute("d", together(short).map(([from, long]) => `M${from} ${faint.y}h${long}v${faint.height}h${-long}z`).join("")));
  sharp(lane, ({ bar }) => long.forEach(([from, long]) => bar(from, from + long, strong.y, strong.height, look, label?.(long))));
}

function together(pauses) {
  const pixel = (view.to - view.from) / wide;
  const bars = [];
  for (const [from, long] of pauses) {
    if (from + long < view.from) continue;
    if (from > view.to) break;
    const last = bars.at(-1);
    // Where there is room for them to be told apart, a pixel's room between two shows the success that ended the first.
    if (long > 6 * pixel) bars.push([from, long - pixel]);
    else if (last && from - last[0] - last[1] < pixel) last[1] = from + long - last[0];
    else bars.push([from, long]);
  }
  return bars;
}
