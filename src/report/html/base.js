"use strict";
// The page's ground: the model, formats, the part of the run that is shown, and a record of what went wrong.

const root = document.documentElement;
const failures = [];
function failed(message) {
  failures.push(message);
  root.dataset.errors = failures.join("\n");
}
addEventListener("error", (event) => failed(event.message));
addEventListener("securitypolicyviolation", (event) => failed(`${event.violatedDirective}: ${event.blockedURI}`));

const run = JSON.parse(document.getElementById("lanes").textContent);
const whole = { from: 0, to: Math.max(run.duration_ms, 1) };
const SHORTEST_MS = 200;

// What is shown, in milliseconds since the start, and who draws it again when that changes.
const view = { ...whole };
const drawers = [];
let drawing = 0;
// Pixels of a plot's width: all have the same, and asking each in turn would lay the page out again each time.
let wide = 1;

function draw() {
  drawing = 0;
  wide = Math.max(lanes[0].plot.clientWidth, 1);
  for (const drawer of drawers) drawer();
}

function show(from, to) {
  const length = Math.min(Math.max(to - from, SHORTEST_MS), whole.to);
  view.from = Math.min(Math.max((from + to - length) / 2, 0), whole.to - length);
  view.to = view.from + length;
  drawing ||= requestAnimationFrame(draw);
}

// The place of a moment in the shown part, from 0 to 1; beyond where it is not shown.
const place = (ms) => (ms - view.from) / (view.to - view.from);
const percent = (ms) => `${100 * place(ms)}%`;

const grouped = (number) => String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ",");
const seconds = (ms) => `${(ms / 1000).toFixed(3)} s`;
function length(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60000)} min ${Math.floor((ms % 60000) / 1000)} s`;
}
const exact = (ms) => (ms < 1000 ? `${ms} ms` : `${length(ms)} (${grouped(ms)} ms)`);
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false });
const wall = (ms) => clock.format(new Date(Date.parse(run.started) + ms));
const many = (count, what) => `${grouped(count)} ${what}${count === 1 ? "" : "s"}`;

// What was so at a moment, of stretches in order.
const during = (stretches, ms) => stretches.find((stretch) => ms >= stretch.from_ms && ms < stretch.to_ms);
const pauseAt = (pauses, ms) => pauses.find(([from, long]) => ms >= from && ms < from + long);
const longest = (pauses) => pauses.reduce((most, pause) => (pause[1] > most[1] ? pause : most), [0, 0]);

const services = new Map(run.brokers.map((broker) => [broker.id, broker.service]));
const colours = new Map(run.brokers.map((broker, index) => [broker.id, index % 6]));
const service = (id) => (id < 0 ? "none" : services.get(id) ?? `broker ${id}`);
const colour = (id) => colours.get(id) ?? 5;
