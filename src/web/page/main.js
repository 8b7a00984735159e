// The start: hands what the server tells to the parts of the page, each of which draws its own.

import { patterns, say } from "./draw.js";
import { connect } from "./stream.js";
import { showStatus, tickFaults } from "./status.js";
import { showRun } from "./run.js";
import { showTopology } from "./topology.js";
import { showPartitions } from "./partitions.js";
import { showGroup } from "./group.js";
import { addSample, setSamples } from "./charts.js";
import { addLine, setLines } from "./feed.js";
import { loadRuns } from "./runs.js";

const root = document.documentElement;
const body = document.body;
const failures = [];
function failed(message) {
  failures.push(message);
  root.dataset.errors = failures.join("\n");
}
addEventListener("error", (event) => failed(event.message));
addEventListener("unhandledrejection", (event) => failed(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => failed(`${event.violatedDirective}: ${event.blockedURI}`));

let last = null;
let ending = null;

function connection(state) {
  const again = state === "open" && body.dataset.connection !== "open";
  body.dataset.connection = state;
  say(document.querySelector("#connection .word"), state === "open" ? "Live" : "Connection lost, trying again…");
  if (state === "lost") {
    document.title = "○ khd: no connection";
    say(document.getElementById("said"), "The connection to khd serve is lost. What is shown may be old.");
  }
  // Runs may have ended meanwhile.
  if (again) loadRuns();
}

function show(state) {
  last = state;
  body.dataset.lab = state.lab || "unknown";
  showStatus(state);
  showRun(state);
  showTopology(state);
  showPartitions(state);
  showGroup(state);
  const end = state.run && `${state.run.name} ${state.run.outcome}`;
  if (end !== ending) loadRuns();
  ending = end;
}

body.append(patterns());
connect("/live", { state: show, history: setSamples, sample: addSample, feed: setLines, told: addLine }, connection);
setInterval(() => { if (body.dataset.connection === "open") tickFaults(); }, 250);
// The drawing is laid out in pixels.
new ResizeObserver(() => { if (last) showTopology(last); }).observe(document.querySelector("#topology .drawing"));
