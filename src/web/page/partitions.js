// Partitions by brokers: who leads, who is in sync, who is not. A table for each topic, so that many fit side by side; a
// long topic has several. Cells stay the same elements for as long as the lab has the same shape, and flash when their
// role changes.

import { differs, element, say } from "./draw.js";
import { many, short } from "./words.js";

// Rows of a table, and partitions beyond which the grid is scrolled by itself.
const ROWS = 12;
const MANY = 120;
const ROLES = {
  leader: { glyph: "L", words: "leader" },
  "in-sync": { glyph: "✓", words: "in sync" },
  "out-of-sync": { glyph: "✕", words: "out of sync" },
  none: { glyph: "·", words: "no replica" },
};

const section = document.getElementById("partitions");
const grid = section.querySelector(".grid");
const reshaped = differs();
const changed = differs();
// Rows by topic/partition, tables by topic.
let rows = new Map();
let tables = [];

export function showPartitions({ brokers, partitions }) {
  const ids = brokers.map(({ id, name }) => ({ id, name }));
  if (reshaped(ids, partitions.map(({ topic, partition }) => [topic, partition]))) build(ids, partitions);
  else if (!changed(partitions)) return;
  else flashing = true;
  for (const partition of partitions) fill(partition);
  flashing = false;
  tally(partitions);
}

// What is drawn for the first time has not changed.
let flashing = false;

function build(brokers, partitions) {
  changed(partitions);
  rows = new Map();
  tables = [];
  for (const [topic, all] of Map.groupBy(partitions, (partition) => partition.topic)) {
    // Equally long ones, and no rest of two rows.
    const rowsEach = Math.ceil(all.length / Math.ceil(all.length / ROWS));
    for (let from = 0; from < all.length; from += rowsEach) {
      const some = all.slice(from, from + rowsEach);
      const place = all.length > ROWS ? ` ${some[0].partition}–${some.at(-1).partition}` : "";
      tables.push(tableOf(topic, place, some, brokers));
    }
  }
  grid.replaceChildren(...tables.map(({ table }) => table));
  grid.classList.toggle("crowded", brokers.length > 4);
  grid.classList.toggle("scroll", partitions.length > MANY);
  if (partitions.length > MANY) grid.tabIndex = 0;
  else grid.removeAttribute("tabindex");
}

function tableOf(topic, place, partitions, brokers) {
  const note = element("span", { class: "mark" });
  // Where there is little room for many brokers, their numbers must do.
  const heads = brokers.map(({ name }) => {
    const [, kind, number] = /^(.*?)(\d*)$/.exec(short(name));
    return element("th", { scope: "col", title: name }, element("span", { class: "kind" }, kind), number);
  });
  const table = element("table", {},
    element("caption", {}, element("b", {}, topic), place, " ", note),
    element("thead", {}, element("tr", {},
      element("th", { scope: "col" }, element("span", { "aria-hidden": "true", title: "partition" }, "#"), element("span", { class: "hidden" }, "Partition")),
      ...heads,
      element("th", { scope: "col", class: "isr" }, "ISR"))),
    element("tbody", {}, ...partitions.map((partition) => rowOf(partition, brokers))));
  return { table: element("div", { class: "topic" }, table), note, partitions: partitions.map(key) };
}

const key = ({ topic, partition }) => `${topic}/${partition}`;

function rowOf(partition, brokers) {
  const cells = brokers.map(({ id }, index) => {
    const cell = element("td", { "data-partition": key(partition), "data-broker": id, class: `c${index % 6}` });
    const glyph = element("span", { "aria-hidden": "true" });
    const words = element("span", { class: "hidden" });
    cell.append(glyph, words);
    return { id, cell, glyph, words };
  });
  const isr = element("td", { class: "isr" });
  const row = element("tr", { "data-partition": key(partition) }, element("th", { scope: "row" }, String(partition.partition)), ...cells.map(({ cell }) => cell), isr);
  rows.set(key(partition), { row, cells, isr });
  return row;
}

function standing({ leader, replicas, isr }) {
  if (leader < 0) return "leaderless";
  return isr.length < replicas.length ? "under-replicated" : "whole";
}

function roleOf({ leader, replicas, isr }, id) {
  if (leader === id) return "leader";
  if (isr.includes(id)) return "in-sync";
  return replicas.includes(id) ? "out-of-sync" : "none";
}

function fill(partition) {
  const { row, cells, isr } = rows.get(key(partition));
  const now = standing(partition);
  row.dataset.standing = now;
  const count = `${partition.isr.length}/${partition.replicas.length}`;
  say(isr, now === "leaderless" ? "no L" : now === "under-replicated" ? `▲ ${count}` : count);
  isr.title = `${now === "leaderless" ? "no leader, " : ""}in sync ${partition.isr.length} of ${partition.replicas.length}`;
  for (const { id, cell, glyph, words } of cells) {
    const role = roleOf(partition, id);
    const preferred = partition.replicas[0] === id;
    cell.classList.toggle("preferred", preferred);
    const told = `${ROLES[role].words}${preferred ? ", preferred leader" : ""}`;
    say(words, told);
    cell.title = `${key(partition)} on broker ${id}: ${told}`;
    if (cell.dataset.role === role) continue;
    cell.dataset.role = role;
    say(glyph, ROLES[role].glyph);
    if (flashing) flash(cell);
  }
}

function flash(cell) {
  // Taken off and put on with a look at the layout in between, or the same animation would not start again.
  cell.classList.remove("flash");
  void cell.offsetWidth;
  cell.classList.add("flash");
}

function tally(partitions) {
  const of = new Map(partitions.map((partition) => [key(partition), standing(partition)]));
  const count = (keys, what) => keys.filter((key) => of.get(key) === what).length;
  const all = [...of.keys()];
  const [lacking, leaderless] = [count(all, "under-replicated"), count(all, "leaderless")];
  const misplaced = partitions.filter(({ leader, replicas }) => leader >= 0 && leader !== replicas[0]).length;
  const words = [many(all.length, "partition")];
  if (leaderless) words.push(`${leaderless} without a leader`);
  if (lacking) words.push(`${lacking} with a replica out of sync`);
  if (misplaced) words.push(`${misplaced} not led by the preferred replica`);
  if (!leaderless && !lacking) words.push("every replica is in sync");
  say(section.querySelector(".lead"), partitions.length ? `${words.join(", ")}.` : "No broker has told of a partition yet.");
  for (const { note, partitions } of tables) {
    const [lacking, leaderless] = [count(partitions, "under-replicated"), count(partitions, "leaderless")];
    say(note, [leaderless && `${leaderless} no L`, lacking && `▲ ${lacking}`].filter(Boolean).join(" "));
  }
}
