// A lane for each partition: a band in its leader's colour, thin and hatched while replicas are missing from the ISR, with
// pauses in writing above it and in reading below it. And the legend.

const ROW = 24;

function isWorst(lane, worst) {
  return worst && worst.topic === lane.topic && worst.partition === lane.partition;
}

function partitionLane(told, into) {
  const { topic, partition, replicas, led, unacknowledged, undelivered } = told;
  const worst = run.pauses && { write: isWorst(told, run.pauses.worst_unacknowledged), read: isWorst(told, run.pauses.worst_undelivered) };
  const most = longest(unacknowledged);
  const made = lane({
    name: String(partition), label: `${topic}/${partition}`, tall: ROW, kind: "partition", into,
    side: run.pauses ? (most[1] ? length(most[1]) : "–") : "", worst: worst?.write,
    tell: (ms) => {
      const now = during(led, ms);
      const lines = now
        ? [now.leader < 0 ? "no leader" : `led by ${service(now.leader)}, epoch ${now.epoch}`, `in sync ${now.isr.length} of ${replicas.length}: ${now.isr.map(service).join(", ")}`]
        : ["nobody to be believed told its leader"];
      const write = pauseAt(unacknowledged, ms);
      const read = pauseAt(undelivered, ms);
      if (write) lines.push(`no acknowledgement for ${exact(write[1])}, from ${seconds(write[0])}`);
      if (read) lines.push(`no delivery for ${exact(read[1])}, from ${seconds(read[0])}`);
      return lines;
    },
  });
  pauseBars(made, unacknowledged, { y: 3.5, height: 1.5 }, { y: 2, height: 3 }, "unacked");
  pauseBars(made, undelivered, { y: 19, height: 1.5 }, { y: 19, height: 3 }, "unread");
  sharp(made, ({ bar, chip }) => {
    for (const now of led) {
      const short = now.isr.length < replicas.length;
      if (now.leader < 0) bar(now.from_ms, now.to_ms, 6.5, 11, "hot-line", { hatch: "hot-hatch", text: "no leader", textLook: "on-hot halo" });
      else bar(now.from_ms, now.to_ms, short ? 9.5 : 6, short ? 5 : 12, `c${colour(now.leader)}`, { hatch: short && "hatch", text: short ? "" : String(now.leader), textLook: `t${colour(now.leader)}` });
    }
    // The worst is named.
    const named = [worst?.write && "writing", worst?.read && "reading"].filter(Boolean).join(" and ");
    const [from, long] = worst?.write ? most : longest(undelivered);
    if (named && long >= EMPHASIS_MS) chip(from, from + long, 12, [`longest pause in ${named}: ${length(long)}`, `longest: ${length(long)}`, length(long)]);
  });
}

function partitionLanes() {
  const topics = Map.groupBy(run.partitions, (partition) => partition.topic);
  for (const [topic, partitions] of topics) {
    const most = partitions.reduce((most, partition) => Math.max(most, longest(partition.unacknowledged)[1]), 0);
    const name = element("span", { class: "name" }, topic);
    const about = element("span", { class: "about-topic" }, `${many(partitions.length, "partition")}, folded`);
    const side = element("span", { class: "side" }, most ? length(most) : "");
    const fold = element("details", { class: "topic", open: "" }, element("summary", {}, name, about, side));
    board.append(fold);
    for (const partition of partitions) partitionLane(partition, fold);
  }
}

function legend() {
  const list = document.querySelector(".legend");
  const sample = (...shapes) => { const svg = shape("svg", { "aria-hidden": "true" }); svg.append(...shapes); return svg; };
  const box = (y, height, look) => shape("rect", { x: 1, y, width: 24, height, class: look });
  const hatched = (y, height, id) => shape("rect", { x: 1, y, width: 24, height, fill: `url(#${id})` });
  const entry = (words, ...shapes) => list.append(element("li", {}, sample(...shapes), words));
  for (const broker of run.brokers) {
    const digit = shape("text", { x: 13, y: 7.5, class: `mid t${colour(broker.id)}` }, String(broker.id));
    entry(`led by ${broker.service}`, box(1, 12, `c${colour(broker.id)}`), digit);
  }
  const first = run.brokers[0] ? `c${colour(run.brokers[0].id)}` : "quiet";
  entry("replicas missing from the ISR", box(4.5, 5, first), hatched(4.5, 5, "hatch"));
  entry("silent, or no leader", box(1, 12, "hot-line"), hatched(1, 12, "hot-hatch"));
  if (!run.pauses) return;
  entry("above the band: no acknowledgement for a second or more", box(0.5, 3, "unacked"), box(6, 7, "quiet"));
  entry("below it: no delivery", box(1, 7, "quiet"), box(10.5, 3, "unread"));
  if (run.rates) {
    entry("acknowledged per second", shape("line", { x1: 1, x2: 25, y1: 7, y2: 7, class: "line acks" }));
    entry("delivered per second", shape("line", { x1: 1, x2: 25, y1: 7, y2: 7, class: "line reads" }));
  }
  if (run.latency.acknowledgement.length || run.latency.end_to_end.length) {
    for (const [look, words] of [["p50", "latency of half"], ["p99", "of 99 %"], ["max", "greatest"]]) entry(words, shape("line", { x1: 1, x2: 25, y1: 7, y2: 7, class: `line ${look}` }));
  }
}
