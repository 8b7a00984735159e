// The runs that were recorded, each with its verdict and the way to its report.

import { badge, element, say } from "./draw.js";
import { clock, day, length, mark } from "./words.js";

const card = document.getElementById("runs");
const past = card.querySelector(".past");
const quiet = card.querySelector(".quiet-words");
let asked = 0;

export async function loadRuns() {
  const mine = ++asked;
  try {
    const answer = await fetch("/runs");
    if (!answer.ok) throw new Error((await answer.text()).trim() || `status ${answer.status}`);
    const runs = await answer.json();
    // Whoever asked later has the newer list.
    if (mine !== asked) return;
    past.replaceChildren(...runs.map(item));
    quiet.hidden = runs.length > 0;
    say(quiet, "No run was recorded yet.");
  } catch (error) {
    // Without a connection the header says so already.
    if (mine !== asked || document.body.dataset.connection !== "open") return;
    quiet.hidden = false;
    say(quiet, `The list of runs could not be read: ${error.message}`);
  }
}

function item(run) {
  const verdict = element("span");
  badge(verdict, mark(run.verdict), run.verdict.replaceAll("-", " "));
  const name = run.drill ? `drill ${run.drill}` : run.command ?? run.run;
  // What cannot be read has no report.
  const title = run.readable ? element("a", { href: `/runs/${encodeURIComponent(run.run)}` }, name) : element("span", {}, name);
  const about = [];
  if (run.started) about.push(when(Date.parse(run.started)));
  if (run.longest_gap_ms !== null && run.longest_gap_ms !== undefined) about.push(`longest gap ${length(run.longest_gap_ms)}`);
  if (run.why) about.push(run.why);
  return element("li", {}, verdict, element("div", {}, title, element("p", { class: "about" }, about.join(" · "))));
}

function when(ms) {
  const today = new Date().toDateString() === new Date(ms).toDateString();
  return today ? clock(ms) : `${day(ms)}, ${clock(ms)}`;
}
