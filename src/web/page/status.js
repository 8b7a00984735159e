// Whether the lab is healthy and what is lacking, the faults in place, and how messages get through.

import { element, list, say } from "./draw.js";
import { clock, grouped, many, ongoing, rate } from "./words.js";

const health = document.getElementById("health");
const pill = document.getElementById("pill");
const faults = document.getElementById("faults");
const messages = document.getElementById("messages");

// How far the server's clock is ahead of this one.
let ahead = 0;

function standing(state) {
  if (state.lab === "absent") return { look: "none", glyph: "–", word: "no lab" };
  if (state.lab !== "up") return { look: "none", glyph: "…", word: "not known yet" };
  if (state.healthy) return { look: "good", glyph: "✓", word: "healthy" };
  return { look: "bad", glyph: "✕", word: "not healthy" };
}

export function showStatus(state) {
  ahead = state.now - Date.now();
  say(document.getElementById("project"), state.project || "…");
  showHealth(state);
  showFaults(state);
  showMessages(state);
  // Read out only when it changes; what is lacking changes too often.
  const words = [standing(state).word, ...state.faults.map((fault) => `fault: ${fault.words}`)].join(", ");
  say(document.getElementById("said"), `The lab: ${words}.`);
}

function showHealth(state) {
  const { look, glyph, word } = standing(state);
  document.title = `${state.lab === "up" ? "●" : "○"} khd: ${word}${state.project && state.project !== "khd" ? ` (${state.project})` : ""}`;
  for (const [node, looks] of [[health, `card headline ${look}`], [pill, `pill ${look}`]]) {
    node.className = looks;
    node.dataset.healthy = String(Boolean(state.healthy));
    say(node.querySelector(".glyph"), glyph);
    say(node.querySelector(".word"), word);
  }
  const sentence = health.querySelector(".sentence");
  if (state.lab === "absent") sentence.replaceChildren(`There is no lab named ${state.project}. `, element("code", {}, "khd up"), " brings it up.");
  else if (state.lab !== "up") say(sentence, "The lab is being looked at.");
  else say(sentence, state.healthy ? "Nothing is lacking." : state.lacking.length === 1 ? "One thing is lacking:" : `${many(state.lacking.length, "thing")} are lacking:`);
  list(document.getElementById("lacking"), state.lacking, () => element("li"), say);
}

function showFaults(state) {
  faults.classList.toggle("hot-card", state.faults.length > 0);
  say(document.getElementById("faults-title"), state.faults.length > 1 ? "Faults in place" : state.faults.length ? "Fault in place" : "Faults");
  faults.querySelector(".quiet-words").hidden = state.faults.length > 0;
  // A run undoes its own.
  faults.querySelector(".hint").hidden = state.faults.length === 0 || Boolean(state.run && !state.run.outcome);
  const make = () => element("li", {}, element("b"), " ", element("span", { class: "since" }));
  list(faults.querySelector("ul"), state.faults, make, (item, fault) => {
    say(item.firstChild, fault.words);
    item.dataset.since = Date.parse(fault.since);
  });
  tickFaults();
}

export function tickFaults() {
  for (const item of faults.querySelectorAll("li")) {
    const since = Number(item.dataset.since);
    say(item.lastChild, `for ${ongoing(Date.now() + ahead - since)}, since ${clock(since)}`);
  }
}

function showMessages(state) {
  const tell = (name, words) => say(messages.querySelector(`[data-figure=${name}]`), words);
  tell("written", state.rates ? `${rate(state.rates.written)} / s` : "–");
  tell("committed", state.rates ? `${rate(state.rates.committed)} / s` : "–");
  tell("lag", state.lag === null ? "–" : grouped(state.lag));
  messages.classList.toggle("hot-card", state.gaps.length > 0);
  const quiet = messages.querySelector(".quiet-words");
  quiet.hidden = state.gaps.length > 0;
  say(quiet, state.lab === "up" ? "No gap is open." : "There are no messages.");
  list(document.getElementById("gaps"), state.gaps, () => element("li"), (item, gap) => {
    const what = gap.of === "delivery" ? "delivered" : "acknowledged";
    const where = gap.partitions === 1 && gap.first ? gap.first : many(gap.partitions, "partition");
    say(item, `${gap.client}: nothing ${what} on ${where} for ${ongoing(gap.longest_ms)}`);
  });
}
