// The consumer group: its state, who coordinates it, and which member reads which partitions.

import { badge, differs, element } from "./draw.js";
import { many, ranges } from "./words.js";

const section = document.getElementById("group");
const changed = differs();

export function showGroup({ group, brokers }) {
  // A group whose coordinator is no broker of the lab has none at the moment.
  const known = group && brokers.some((broker) => broker.name === group.coordinator);
  if (!changed(group, known)) return;
  const lead = section.querySelector(".lead");
  const members = section.querySelector(".members");
  if (!group) {
    lead.replaceChildren("No broker tells of a group: it has no coordinator, or nobody consumes.");
    members.replaceChildren();
    return;
  }
  const state = element("span", { id: "group-state" });
  badge(state, group.state === "Stable" ? { look: "good", glyph: "✓" } : { look: "doubt", glyph: "…" }, group.state);
  const coordinator = known ? ["Its coordinator is ", element("b", {}, group.coordinator), "."] : ["It has no coordinator now."];
  lead.replaceChildren(element("b", {}, group.name), " ", state, ` ${many(group.members.length, "member")}. `, ...coordinator);
  if (!group.members.length) return members.replaceChildren();
  const heads = [["Member"], ["Host", "host"], ["Count", "number"], ["Partitions"]];
  const table = element("table", { class: "plain", "aria-labelledby": "group-title" },
    element("thead", {}, element("tr", {}, ...heads.map(([text, look = ""]) => element("th", { scope: "col", class: look }, text)))),
    element("tbody", {}, ...group.members.map(row)));
  members.replaceChildren(table);
  // What has to be scrolled can be reached by keyboard.
  if (members.scrollHeight > members.clientHeight) members.tabIndex = 0;
  else members.removeAttribute("tabindex");
}

function row(member) {
  const topics = Object.entries(member.partitions).filter(([, numbers]) => numbers.length);
  const count = topics.reduce((sum, [, numbers]) => sum + numbers.length, 0);
  const places = topics.map(([topic, numbers]) => element("span", { class: "place" }, `${topic}: ${ranges(numbers)}`));
  return element("tr", { "data-member": member.client },
    element("th", { scope: "row" }, member.client),
    element("td", { class: "host" }, member.host.replace(/^\//, "")),
    element("td", { class: "number" }, String(count)),
    element("td", {}, ...(places.length ? places : ["none"])));
}
