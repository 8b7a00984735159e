// The lab drawn: ZooKeeper servers, or controllers of their own, over brokers over clients, each with its state as a shape and a word. It is laid out in
// pixels, since a drawing that is scaled down to a telephone could not be read.

import { differs, shape } from "./draw.js";
import { many, short } from "./words.js";

const drawing = document.querySelector("#topology .drawing");
const changed = differs();
// A node's height without its own lines, and the room between two tiers.
const TALL = { keeper: 48, broker: 56 };
const BETWEEN = 42;
// Nodes that are less wide have smaller words, and fewer.
const SMALL = 84;
const TOP = 9;

export function showTopology(state) {
  const width = Math.floor(drawing.clientWidth);
  const { containers, zookeepers, controllers, brokers, group } = state;
  if (!width || !changed(width, containers, zookeepers, controllers, brokers, group?.coordinator)) return;
  const separate = controllers.filter(({ name }) => !brokers.some((server) => server.name === name));
  const tiers = [[...zookeepers, ...separate].map((server) => keeper(server, containers)), brokers.map((server, index) => broker(server, index, state)), clients(containers, width)];
  drawing.replaceChildren(draw(tiers.filter((tier) => tier.length), width));
}

function containerOf(containers, name) {
  const state = containers.find((container) => container.service === name)?.state;
  return state ?? "absent";
}

// A server that does not answer is silent; what its container does is told beside that.
function stateWords(answers, container) {
  const word = answers ? "answers" : "silent";
  if (container === "running") return word;
  return container === "absent" ? "no container" : container;
}

// Who keeps the metadata and does nothing else.
function keeper({ name, mode }, containers) {
  const container = containerOf(containers, name);
  const answers = mode !== null;
  return {
    name, label: short(name), answers, container, kind: "keeper", state: answers ? "answers" : "silent",
    word: mode ?? stateWords(false, container), lines: () => [], mark: mode === "leader" ? "leader" : null,
    told: mode ? `answers, ${mode}` : `silent, container ${container}`,
  };
}

function broker(server, index, { containers, controllers, group }) {
  const container = containerOf(containers, server.name);
  const coordinates = group?.coordinator === server.name;
  const voter = controllers.find(({ name }) => name === server.name);
  // In combined mode it votes as well, whether or not it answers as a broker.
  const mode = voter?.mode;
  const votes = (room) => (!voter ? [] : room < SMALL ? [mode ?? "no vote"] : [mode ? `quorum ${mode}` : "not in quorum"]);
  const counts = (sync) => [`${server.leads} leads`, `${server.in_sync} ${sync}`];
  return {
    name: server.name, label: short(server.name), answers: server.answers, container, kind: "broker", look: `c${index % 6}`,
    state: server.answers ? "answers" : "silent", word: stateWords(server.answers, container),
    // One under the other where there is no room for both in a line.
    lines: (room) => [...(room >= 146 ? [counts("in sync").join(" · ")] : counts(room < SMALL ? "sync" : "in sync")), ...votes(room)],
    mark: server.controller ? "controller" : null, fault: server.fault,
    told: [
      server.answers ? "answers" : "silent", container === "running" ? "" : `container ${container}`, server.controller ? "controller" : "", ...votes(Infinity),
      coordinates ? "coordinator of the group" : "", server.fault ? `fault: ${server.fault}` : "",
      `leads ${server.leads}, in sync on ${server.in_sync} of ${many(server.replicas, "replica")}`,
    ].filter(Boolean).join(", "),
  };
}

// One node for each client, or one for all of a kind when they are many.
function clients(containers, width) {
  const kinds = [["producer", "P"], ["consumer", "C"]].map(([service, letter]) => ({ service, letter, all: containers.filter((container) => container.service === service) }));
  const fit = Math.max(2, Math.floor(width / 84));
  const total = kinds.reduce((sum, { all }) => sum + all.length, 0);
  return kinds.filter(({ all }) => all.length).flatMap(({ service, letter, all }) => {
    if (total > fit && all.length > 1) return [together(service, letter, all)];
    return all.sort((a, b) => a.number - b.number).map(({ number, state }) => ({
      name: `${service}-${number}`, label: all.length > 1 ? `${letter}${number}` : letter, kind: service, state, container: state,
      answers: state === "running", word: state, lines: () => [], told: `${service} ${number}: container ${state}`,
    }));
  });
}

function together(service, letter, all) {
  const running = all.filter(({ state }) => state === "running").length;
  const state = running === all.length ? "running" : all.find(({ state }) => state !== "running").state;
  const word = running === all.length ? "all running" : `${running} running`;
  return {
    name: service, label: `${letter}×${all.length}`, kind: service, state, container: state, answers: running === all.length, word,
    lines: () => [], told: `${many(all.length, service)}, ${running} running`,
  };
}

function draw(tiers, width) {
  const svg = shape("svg", { width, role: "group", "aria-labelledby": "topology-title" });
  const lines = shape("g", { class: "wires", "aria-hidden": "true" });
  svg.append(lines);
  let top = TOP;
  let above = null;
  for (const tier of tiers) {
    const laid = layOut(tier, width, top);
    if (above) wire(lines, above, laid);
    for (const node of laid) svg.append(drawn(node, width));
    above = laid;
    top += laid[0].tall + BETWEEN;
  }
  const tall = Math.max(top - BETWEEN + TOP, 1);
  svg.setAttribute("height", tall);
  svg.setAttribute("viewBox", `0 0 ${width} ${tall}`);
  return svg;
}

function layOut(tier, width, top) {
  const gap = width < 480 ? 8 : 16;
  const widest = tier[0].kind === "broker" ? 190 : tier[0].kind === "keeper" ? 150 : 130;
  const wide = Math.min(widest, (width - gap * (tier.length - 1)) / tier.length);
  const left = (width - wide * tier.length - gap * (tier.length - 1)) / 2;
  const lines = Math.max(...tier.map((node) => node.lines(wide).length));
  const tall = (TALL[tier[0].kind] ?? 44) + lines * 16;
  return tier.map((node, index) => ({ ...node, x: left + index * (wide + gap), y: top, wide, tall, middle: left + index * (wide + gap) + wide / 2 }));
}

// All of a tier reach all of the next: a rail between them says so with fewer lines than there are pairs.
function wire(lines, above, below) {
  const rail = above[0].y + above[0].tall + BETWEEN / 2;
  const ends = [...above, ...below].map(({ middle }) => middle);
  lines.append(shape("line", { x1: Math.min(...ends), x2: Math.max(...ends), y1: rail, y2: rail }));
  for (const [nodes, edge] of [[above, (node) => node.y + node.tall], [below, (node) => node.y]]) {
    for (const node of nodes) lines.append(shape("line", { x1: node.middle, x2: node.middle, y1: edge(node), y2: rail, class: node.answers ? "" : "cut" }));
  }
  for (const { kind, middle, y } of below) {
    // Which way messages go.
    const tip = kind === "producer" ? rail + 6 : y - 2;
    const back = kind === "producer" ? 6 : -6;
    if (kind === "producer" || kind === "consumer") lines.append(shape("path", { d: `M${middle - 4} ${tip + back}h8l-4 ${-back}z` }));
  }
}

function drawn(node, width) {
  const { x, y, wide, tall } = node;
  const small = wide < SMALL;
  const group = shape("g", { class: `node ${node.kind}${small ? " small" : ""}`, "data-node": node.name, "data-state": node.state, "data-container": node.container, role: "img", "aria-label": `${node.name}: ${node.told}` });
  group.append(shape("title", {}, `${node.name}: ${node.told}`));
  const round = node.kind === "producer" || node.kind === "consumer" ? tall / 2 : 8;
  const box = { x: x + 0.75, y: y + 0.75, width: wide - 1.5, height: tall - 1.5, rx: round };
  group.append(shape("rect", { ...box, class: node.answers ? "box" : "box off" }));
  if (!node.answers) group.append(shape("rect", { ...box, fill: "url(#hot-hatch)", class: "hatching" }));
  // The colour that is the broker's in the grid, too.
  const band = small ? { x: x + 8, y: y + tall - 7, width: wide - 16, height: 4 } : { x: x + 6, y: y + 10, width: 5, height: tall - 20 };
  if (node.look) group.append(shape("rect", { ...band, rx: 2, class: node.answers ? node.look : "quiet" }));
  const middle = node.look && !small ? node.middle + 4 : node.middle;
  // Below what marks its upper edge.
  const first = y + (node.kind === "broker" ? 20 : node.kind === "keeper" ? 18 : 15);
  const full = wide >= 120 && node.kind !== "producer" && node.kind !== "consumer";
  const label = shape("text", { x: middle, y: first, class: "mid label" }, node.label);
  if (full) label.append(shape("tspan", { class: "full", dx: 6 }, node.name));
  const state = shape("text", { x: middle, y: first + 16, class: node.answers ? "mid state" : "mid state off" });
  if (!small || !node.answers) state.append(shape("tspan", { class: node.answers ? "sign fine" : "sign" }, sign(node)));
  state.append(shape("tspan", { dx: state.firstChild ? 4 : 0 }, node.word));
  group.append(label, state);
  node.lines(wide).forEach((text, index) => group.append(shape("text", { x: middle, y: first + 33 + 16 * index, class: "mid soft" }, text)));
  if (node.mark) chip(group, width, node.middle, y, node.mark, "chip mark");
  if (node.fault) chip(group, width, node.middle, y + tall, node.fault, "chip fault");
  return group;
}

// The shape before the word: a disc answers or runs, bars are paused, a ring has ended, a cross does not answer.
function sign({ answers, container }) {
  if (answers) return "●";
  return { paused: "‖", exited: "○", absent: "○" }[container] ?? "✕";
}

function chip(group, width, wanted, y, text, look) {
  const wide = text.length * 6 + 14;
  const x = Math.min(Math.max(wanted, wide / 2 + 1), width - wide / 2 - 1);
  group.append(shape("rect", { x: x - wide / 2, y: y - 8, width: wide, height: 16, rx: 8, class: look }));
  group.append(shape("text", { x, y, class: `mid ${look.replace("chip", "on-chip")}` }, text));
}
