// Four charts over the last ten minutes. They share the time axis and the moment that is pointed at, and are drawn again
// when a second has passed, the width changes, or the hand moves; never while nobody can see them.

import { element, say, shape } from "./draw.js";
import { clock, grouped, latency, length, minute, rate } from "./words.js";

const SPAN_MS = 600000;
const LEAST_SPAN_MS = 120000; // with little to show, little time is shown
const TALL = 84;
const BOTTOM = 6;
// Samples come each second; where some are missing, a line is broken.
const HOLE_MS = 3500;

const board = document.getElementById("charts");
const axis = board.querySelector(".ticks");
const overlay = board.querySelector(".overlay");
const cursor = board.querySelector(".cursor");
const perSecond = (figure) => `${rate(figure)} / s`;
const gap = (ms) => (ms ? length(ms) : "none");
const round = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 10) / 100} s`);

// `none` is said where no figure is known; `least` is the least top of the scale.
const charts = [
  { id: "rates", title: "Messages", note: "per second", format: perSecond, axis: grouped, least: 10, none: "not known", series: [["written", "written", "acks area"], ["committed", "committed", "reads"]] },
  { id: "lag", title: "Lag", note: "messages", format: grouped, axis: grouped, least: 10, none: "not known", series: [["lag", "not committed yet", "acks area"]] },
  {
    id: "latency", title: "Latency", note: "50 % and 99 % within", format: latency, axis: (figure) => round(figure * 1000), log: true, none: "not measured",
    series: [["ack_p50", "acknowledged", "acks"], ["ack_p99", "99 %", "acks p99"], ["delivered_p50", "delivered", "unread"], ["delivered_p99", "99 %", "unread p99"]],
  },
  { id: "gaps", title: "Open gaps", note: "longest", format: gap, axis: round, least: 1000, none: "not known", series: [["gap_ack_ms", "acknowledgement", "hot area"], ["gap_delivery_ms", "delivery", "unread dashed"]] },
];

let samples = [];
let drawing = 0;
// Pixels of a plot's width, and the moment pointed at, if any.
let wide = 1;
let at = null;

for (const chart of charts) build(chart);

function build(chart) {
  const figure = document.getElementById(`chart-${chart.id}`);
  const values = element("ul");
  chart.told = chart.series.map(([, words, look]) => {
    const swatch = shape("svg", { "aria-hidden": "true", class: "swatch" });
    swatch.append(shape("line", { x1: 0, x2: 18, y1: 5, y2: 5, class: `line ${look}` }));
    const value = element("b", {}, "–");
    values.append(element("li", {}, swatch, element("span", {}, words), " ", value));
    return value;
  });
  chart.note = element("small", {}, chart.note);
  chart.usual = chart.note.textContent;
  chart.tall = chart.log ? TALL + 28 : TALL;
  chart.svg = shape("svg", { height: chart.tall, "aria-hidden": "true" });
  chart.plot = element("div", { class: "plot" }, chart.svg);
  figure.append(element("figcaption", {}, element("span", { class: "name" }, chart.title, " ", chart.note), values), chart.plot);
}

export function setSamples(all) {
  samples = all;
  later();
}

export function addSample(sample) {
  samples.push(sample);
  while (samples.length && samples[0].at < sample.at - SPAN_MS - 2000) samples.shift();
  later();
}

function later() {
  if (!document.hidden) drawing ||= requestAnimationFrame(draw);
}

const until = () => samples.at(-1)?.at ?? Date.now();
const span = () => Math.min(SPAN_MS, Math.max(LEAST_SPAN_MS, until() - (samples[0]?.at ?? until())));
const place = (ms) => ((ms - until() + span()) / span()) * wide;

function draw() {
  drawing = 0;
  wide = Math.max(charts[0].plot.clientWidth, 1);
  // What is pointed at may have gone by.
  if (at !== null && at < until() - span()) at = null;
  ticks();
  const faults = stretches();
  const now = at === null ? samples.at(-1) : nearest(at);
  for (const chart of charts) {
    plot(chart, faults);
    chart.series.forEach(([field], index) => {
      const figure = now?.[field];
      say(chart.told[index], figure === null || figure === undefined ? chart.none : chart.format(figure));
    });
  }
  point(now);
}

// A tick each minute or two, where clocks have them.
function ticks() {
  const step = wide < 500 ? 120000 : 60000;
  const marks = [];
  for (let ms = Math.ceil((until() - span()) / step) * step; ms <= until(); ms += step) {
    const tick = element("span", { class: "tick" }, minute(ms));
    const x = place(ms);
    tick.style.left = `${x}px`;
    if (x > 16 && x < wide - 16) marks.push(tick);
  }
  axis.replaceChildren(...marks);
}

function stretches() {
  const found = [];
  for (const sample of samples) {
    const last = found.at(-1);
    if (!sample.fault) continue;
    if (last && sample.at - last[1] < HOLE_MS) last[1] = sample.at;
    else found.push([sample.at, sample.at]);
  }
  return found;
}

// A round number that is not below the greatest.
function ceiling(greatest) {
  const power = 10 ** Math.floor(Math.log10(Math.max(greatest, 1)));
  return [1, 1.5, 2, 3, 4, 5, 8, 10].map((step) => step * power).find((round) => round >= greatest);
}

// Where a figure stands in a plot, and which figures have a line across.
function scale(chart) {
  const all = chart.series.flatMap(([field]) => samples.map((sample) => sample[field])).filter((figure) => Number.isFinite(figure));
  const greatest = all.reduce((most, figure) => Math.max(most, figure), 0);
  const [top, bottom] = [10, chart.tall - BOTTOM];
  if (chart.log) {
    const least = all.reduce((most, figure) => (figure > 0 ? Math.min(most, figure) : most), greatest || 1);
    const low = Math.min(Math.floor(Math.log10(Math.max(least, 0.0001))), -3);
    const high = Math.max(Math.ceil(Math.log10(Math.max(greatest, 0.0001)) + 0.05), low + 2);
    const rules = Array.from({ length: high - low }, (_, index) => 10 ** (low + index + 1));
    return { rules, height: (figure) => bottom - ((Math.log10(Math.max(figure, 10 ** low)) - low) / (high - low)) * (bottom - top) };
  }
  const high = ceiling(Math.max(greatest, chart.least));
  // What was held up comes in a burst, beside which the usual figures would not be seen.
  const usual = all.filter((figure) => figure > 0).sort((a, b) => a - b);
  const roots = chart.id === "rates" && greatest > 4 * (usual[usual.length >> 1] ?? Infinity);
  say(chart.note, roots ? `${chart.usual}, √ scale` : chart.usual);
  return { rules: [high, high / (roots ? 4 : 2)], height: (figure) => bottom - (roots ? Math.sqrt(figure / high) : figure / high) * (bottom - top) };
}

function plot(chart, faults) {
  const { rules, height } = scale(chart);
  const drawn = faults.map(([from, to]) => {
    const left = Math.max(place(from), 0);
    return shape("rect", { x: left, y: 0, width: Math.max(place(to) - left, 2), height: chart.tall, class: "wash" });
  });
  for (const figure of rules) drawn.push(shape("line", { x1: 0, x2: wide, y1: height(figure), y2: height(figure), class: "rule" }));
  drawn.push(shape("line", { x1: 0, x2: wide, y1: chart.tall - BOTTOM + 0.5, y2: chart.tall - BOTTOM + 0.5, class: "rule ground" }));
  for (const [field, , look] of chart.series.toReversed()) {
    const parts = pieces(field, height);
    if (look.includes("area")) drawn.push(shape("path", { d: parts.map(({ d, from, to }) => `${d}V${chart.tall - BOTTOM}H${from}z`).join(""), class: `fill ${look}` }));
    drawn.push(shape("path", { d: parts.map(({ d }) => d).join(""), class: `line ${look}` }));
  }
  for (const figure of rules) drawn.push(shape("text", { x: 3, y: height(figure) + 8, class: "soft halo" }, chart.axis(figure)));
  chart.svg.replaceChildren(...drawn);
}

// A line for each stretch of samples that know the figure.
function pieces(field, height) {
  const found = [];
  let before = null;
  for (const sample of samples) {
    const figure = sample[field];
    if (!Number.isFinite(figure)) { before = null; continue; }
    const x = place(sample.at).toFixed(1);
    const y = height(figure).toFixed(1);
    if (before === null || sample.at - before > HOLE_MS) found.push({ from: x, d: `M${x} ${y}` });
    else found.at(-1).d += `L${x} ${y}`;
    found.at(-1).to = x;
    before = sample.at;
  }
  return found;
}

function nearest(ms) {
  const near = samples.reduce((best, sample) => (best && Math.abs(best.at - ms) <= Math.abs(sample.at - ms) ? best : sample), null);
  return near && Math.abs(near.at - ms) <= HOLE_MS ? near : null;
}

// The moment that is pointed at: a line through all charts, whose figures are then those of that moment.
function point(now) {
  cursor.hidden = at === null;
  board.classList.toggle("pointed", at !== null);
  const told = axis.querySelector(".moment") ?? element("span", { class: "tick moment" });
  if (at === null) { told.remove(); return; }
  const x = Math.min(Math.max(place(at), 0), wide);
  cursor.style.left = `${x}px`;
  told.style.left = `${Math.min(Math.max(x, 34), wide - 34)}px`;
  say(told, now ? clock(now.at) : clock(at));
  axis.append(told);
}

function go(ms) {
  at = ms === null ? null : Math.min(Math.max(ms, until() - span()), until());
  later();
}

board.addEventListener("pointermove", (event) => {
  const box = overlay.getBoundingClientRect();
  const x = event.clientX - box.left;
  if (x < 0 || x > box.width) go(null);
  else go(until() - span() + (x / box.width) * span());
});
board.addEventListener("pointerleave", () => go(null));
board.addEventListener("blur", () => go(null));
board.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = event.shiftKey ? 10000 : 1000;
  const actions = { ArrowLeft: () => go((at ?? until()) - step), ArrowRight: () => go((at ?? until()) + step), Home: () => go(until() - span()), End: () => go(null), Escape: () => go(null) };
  const action = actions[event.key];
  if (!action) return;
  action();
  event.preventDefault();
});
document.addEventListener("visibilitychange", later);
new ResizeObserver(later).observe(board);
