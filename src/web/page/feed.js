// What happened, one line each, the newest first.

import { element } from "./draw.js";
import { clock } from "./words.js";

const KEPT = 200;
const lines = document.querySelector("#feed .feed");
const nothing = document.querySelector("#feed .quiet-words");

// What deserves a second look. The words say it all; weight and colour only lead the eye.
function look(text) {
  if (text.startsWith("warning")) return "warning";
  return /is silent|nothing (acknowledged|delivered)|is in place|did not come true|\bloses\b/.test(text) ? "fault" : "";
}

function line({ at, source, text }) {
  const time = element("time", { class: "at", datetime: new Date(at).toISOString() }, clock(at));
  return element("li", { class: look(text) }, time, " ", element("span", { class: "subject" }, source), " ", element("span", { class: "text" }, text));
}

export function setLines(all) {
  lines.replaceChildren(...all.slice(-KEPT).map(line).reverse());
  nothing.hidden = all.length > 0;
}

export function addLine(told) {
  lines.prepend(line(told));
  while (lines.children.length > KEPT) lines.lastElementChild.remove();
  nothing.hidden = true;
}
