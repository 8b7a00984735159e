// The run that is being recorded, or ended just now: its steps, and how far each has come.

import { badge, element, list, say } from "./draw.js";
import { length, mark, ongoing } from "./words.js";

const card = document.getElementById("run");
const steps = card.querySelector(".steps");
const STATES = {
  planned: { glyph: "○", word: "planned" },
  running: { glyph: "▶", word: "running" },
  done: { glyph: "✓", word: "done" },
  failed: { glyph: "✕", word: "failed" },
};

export function showRun({ run }) {
  card.querySelector(".none-runs").hidden = Boolean(run);
  card.querySelector(".runs").hidden = !run;
  card.classList.toggle("at-work", Boolean(run && !run.outcome));
  if (!run) return;
  say(card.querySelector(".title code"), run.title || run.name);
  const standing = run.outcome ?? (run.ended ? "being judged" : "running");
  badge(card.querySelector(".badge"), run.outcome ? mark(run.outcome) : { look: "none", glyph: "▶" }, standing);
  // The server tells the time with each state, four times a second, and stops it when the run ends: no clock is needed here.
  say(card.querySelector(".elapsed"), run.ended ? `Took ${ongoing(run.elapsed_ms)}.` : `For ${ongoing(run.elapsed_ms)} now.`);
  const report = card.querySelector("a");
  report.hidden = !run.outcome;
  report.href = `/runs/${encodeURIComponent(run.name)}`;
  list(steps, run.steps, made, (item, step) => {
    const { glyph, word } = STATES[step.state] ?? STATES.planned;
    const [sign, words, took] = item.children;
    if (item.dataset.state !== step.state) {
      item.dataset.state = step.state;
      if (step.state === "running") item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
      sign.replaceChildren(element("span", { "aria-hidden": "true" }, glyph), element("span", { class: "hidden" }, word));
    }
    say(words, step.words);
    say(took, step.state === "planned" ? "" : step.state === "running" ? ongoing(step.ms) : length(step.ms));
  });
}

function made() {
  return element("li", {}, element("span", { class: "sign" }), element("span", { class: "words" }), element("span", { class: "took" }));
}
