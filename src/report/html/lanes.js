// The lanes above the partitions: time, steps, faults, workload, servers, group.

const TALL = 22;
const APART = 19;
const heading = (text, note) => {
  const words = element("span", {}, text);
  if (note) words.append(" ", element("small", {}, note));
  board.append(element("div", { class: "band-head" }, words));
};

function timeLanes() {
  const axis = lane({ name: "", label: "Time", tall: 26, kind: "axis" });
  axis.row.classList.add("axis");
  const grid = board.querySelector(".overlay.back");
  drawers.push(() => {
    const least = ((view.to - view.from) * 78) / wide;
    const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5];
    const step = steps.find((step) => step >= least) ?? 72e5;
    axis.plot.querySelectorAll(".tick").forEach((tick) => tick.remove());
    grid.querySelectorAll(".grid").forEach((line) => line.remove());
    for (let ms = Math.ceil(view.from / step) * step; ms <= view.to; ms += step) {
      const at = place(ms);
      const edge = at * wide < 20 ? " first" : (1 - at) * wide < 20 ? " last" : "";
      const tick = element("span", { class: `tick${edge}` }, tickText(ms, step));
      tick.style.left = percent(ms);
      axis.plot.append(tick);
      const line = element("i", { class: "grid" });
      line.style.left = percent(ms);
      grid.append(line);
    }
  });
  const at = (ms) => run.steps.filter((step) => ms >= step.from_ms && ms < step.to_ms);
  const steps = lane({
    name: "Steps", tall: tallOf(run.steps), kind: "steps",
    tell: (ms) => at(ms).map((now) => {
      const went = now.ok === false ? `did not come true: ${(now.lacking ?? []).join("; ")}` : now.ok === null ? "did not end" : length(now.to_ms - now.from_ms);
      return `${now.words}: ${went}`;
    }),
  });
  sharp(steps, ({ bar }) => run.steps.forEach((step, index) => {
    bar(step.from_ms, step.to_ms, 3 + APART * step.row, 16, index % 2 ? "phase even" : "phase", { text: [step.words, step.sort], textLook: "on-quiet", hatch: step.ok === false && "hot-hatch" });
  }));
  if (run.faults.length) faultLane();
}

// The height of a lane whose stretches have rows.
function tallOf(stretches) {
  return TALL + APART * stretches.reduce((most, stretch) => Math.max(most, stretch.row), 0);
}

function tickText(ms, step) {
  if (view.to > 120000 && step >= 1000) return `${Math.floor(ms / 60000)}:${String(Math.round((ms % 60000) / 1000)).padStart(2, "0")}`;
  const decimals = step >= 1000 ? 0 : step >= 100 ? 1 : step >= 10 ? 2 : 3;
  return `${(ms / 1000).toFixed(decimals)} s`;
}

function faultLane() {
  const all = run.faults.map((fault) => {
    const end = fault.undone_ms ?? run.duration_ms;
    return { ...fault, end, proven: fault.effective_ms ?? end, title: `${fault.fault} ${fault.target}` };
  });
  const away = (fault, ms) => Math.max(fault.injected_ms - ms, ms - fault.end, 0);
  const made = lane({
    name: all.length > 1 ? "Faults" : "Fault", label: all.length > 1 ? "Faults" : `Fault: ${all[0].title}`, tall: tallOf(all), kind: "fault",
    side: all.length > 1 ? String(all.length) : length(all[0].end - all[0].injected_ms),
    tell: (ms) => {
      const inPlace = all.filter((fault) => ms >= fault.injected_ms && ms < fault.end);
      const near = all.reduce((best, fault) => (away(fault, ms) < away(best, ms) ? fault : best));
      return (inPlace.length ? inPlace : [near]).flatMap((fault) => [
        `${fault.title}${inPlace.length ? " is in place" : ""}, injected at ${seconds(fault.injected_ms)}`,
        fault.effective_ms === null ? "never proven" : `proven at ${seconds(fault.effective_ms)}: ${fault.proof}`,
        fault.undone_ms === null ? "left in place" : `undone at ${seconds(fault.undone_ms)}`,
      ]);
    },
  });
  sharp(made, ({ bar }) => all.forEach((fault) => {
    const y = 3 + APART * fault.row;
    bar(fault.injected_ms, fault.proven, y, 16, "hot-line", { hatch: "hot-hatch" });
    bar(fault.proven, fault.end, y, 16, "hot", { text: [fault.title, fault.target], textLook: "over-hot" });
  }));
  const back = board.querySelector(".overlay.back");
  for (const fault of all) {
    const marks = [["wash", fault.injected_ms, fault.end], ["edge", fault.injected_ms], ["edge proof", fault.effective_ms], ["edge", fault.undone_ms]];
    for (const [look, from, to] of marks.filter(([, from]) => from !== null)) {
      const mark = element("i", { class: look });
      back.append(mark);
      drawers.push(() => {
        mark.style.left = percent(from);
        if (to !== undefined) mark.style.width = `${100 * (place(to) - place(from))}%`;
      });
    }
  }
}

// A round number that is not below the greatest.
function ceiling(greatest) {
  const power = 10 ** Math.floor(Math.log10(Math.max(greatest, 1)));
  return [1, 1.5, 2, 3, 4, 5, 8, 10].map((step) => step * power).find((round) => round >= greatest);
}

function rateLane() {
  if (!run.rates) return;
  const { step_ms: step, acknowledged, delivered } = run.rates;
  const all = [...acknowledged.per_second, ...delivered.per_second].filter((rate) => rate > 0).sort((a, b) => a - b);
  const greatest = all.at(-1) ?? 0;
  const top = ceiling(greatest);
  // What was held up comes in a burst, beside which the usual rate would not be seen.
  const roots = greatest > 4 * (all[all.length >> 1] ?? 0);
  const tall = 92;
  const height = (rate) => 8 + (tall - 10) * (1 - (roots ? Math.sqrt(rate / top) : rate / top));
  const told = (rate, ms) => (ms < rate.to_ms ? `${rate.per_second[Math.floor(ms / step)].toFixed(1)} / s` : "not known");
  const made = lane({
    name: "Messages", note: roots ? "/ s, √ scale" : "per second", label: "Messages per second", tall, side: `≤ ${grouped(greatest)}`, kind: "rates",
    tell: (ms) => [`acknowledged ${told(acknowledged, ms)}`, `delivered ${told(delivered, ms)}`],
  });
  // Each figure stands in the middle of its second.
  const middle = (rate, index) => (index * step + Math.min((index + 1) * step, rate.to_ms)) / 2;
  const line = (rate) => rate.per_second.map((figure, index) => `${index ? "L" : "M"}${middle(rate, index)} ${height(figure).toFixed(2)}`).join("");
  const path = line(acknowledged);
  const area = path && `${path}V${height(0)}H${middle(acknowledged, 0)}z`;
  stretched(made, 0, tall, shape("path", { d: area, class: "acks-area" }), shape("path", { d: path, class: "line acks" }), shape("path", { d: line(delivered), class: "line reads" }));
  ruled(made, [[top, grouped(top)], [top / (roots ? 4 : 2), grouped(top / (roots ? 4 : 2))]], height);
}

// Lines across with their figures at the left.
function ruled(lane, rules, height) {
  sharp(lane, ({ add }) => {
    for (const [figure, words] of rules) {
      const y = height(figure);
      add(shape("line", { x1: 0, x2: "100%", y1: y, y2: y, class: "rule" }));
      add(shape("text", { x: 4, y: y + 7, class: "soft halo" }, words));
    }
  });
}

function latencyLanes() {
  for (const [points, note, kind] of [[run.latency.acknowledgement, "acknowledged", "latency-acknowledgement"], [run.latency.end_to_end, "end to end", "latency-end-to-end"]]) {
    if (!points.length) continue;
    const greatest = points.reduce((most, point) => Math.max(most, point.max_ms), 1);
    const least = points.reduce((most, point) => Math.min(most, point.p50_ms), greatest);
    const [low, high] = [Math.floor(Math.log10(Math.max(least, 0.1))), Math.ceil(Math.log10(greatest) + 0.05)];
    const height = (ms) => ((high - Math.log10(Math.max(ms, 10 ** low))) / (high - low)) * 92;
    const apart = points.length > 1 ? (points.at(-1).at_ms - points[0].at_ms) / (points.length - 1) : 0;
    const made = lane({
      name: "Latency", note, label: `Latency, ${note}`, tall: 92, side: `≤ ${length(greatest)}`, kind,
      tell: (ms) => {
        const near = points.reduce((best, point) => (Math.abs(point.at_ms - ms) < Math.abs(best.at_ms - ms) ? point : best));
        if (Math.abs(near.at_ms - ms) > 2 * apart + 1000) return ["none"];
        return [["half within", near.p50_ms], ["99 % within", near.p99_ms], ["all within", near.max_ms]].map(([words, figure]) => `${words} ${figure < 10 ? figure.toFixed(1) : grouped(figure)} ms`);
      },
    });
    // Where nothing was measured for a while, the line is broken.
    const line = (key) => points.map((point, index) => `${index && point.at_ms - points[index - 1].at_ms <= 3 * apart ? "L" : "M"}${point.at_ms} ${height(point[key])}`).join("");
    stretched(made, 0, 92, ...["p50", "p99", "max"].map((key) => shape("path", { d: line(`${key}_ms`), class: `line ${key}` })));
    const decades = Array.from({ length: high - low }, (_, index) => low + index + 1);
    ruled(made, decades.slice(0, -1).map((power) => [10 ** power, length(10 ** power)]), height);
  }
}

function standstillLanes() {
  if (!run.pauses) return;
  for (const [pauses, name, look] of [[run.pauses.unacknowledged, "No writes", "unacked"], [run.pauses.undelivered, "No reads", "unread"]]) {
    const most = longest(pauses);
    const made = lane({
      name, note: "anywhere", tall: TALL, side: most[1] ? length(most[1]) : "never", kind: `standstill-${look}`,
      tell: (ms) => { const now = pauseAt(pauses, ms); return now ? [`stood still for ${exact(now[1])}`, `from ${seconds(now[0])}`] : ["moving"]; },
    });
    const box = { y: 4, height: 14 };
    pauseBars(made, pauses, box, box, look, (long) => ({ text: length(long), textLook: "over-hot" }));
  }
}

function serverLanes() {
  for (const server of run.servers) {
    const broker = run.brokers.find((broker) => broker.service === server.name);
    const asked = server.kind !== "client";
    const look = broker ? `c${colour(broker.id)}` : "quiet";
    const textLook = broker ? `t${colour(broker.id)}` : "on-quiet";
    const silent = server.reach.filter((reach) => !reach.answers).reduce((sum, reach) => sum + reach.to_ms - reach.from_ms, 0);
    const stateText = (state) => `${state.state}${state.exit_code === undefined ? "" : ` (${state.exit_code})`}`;
    const made = lane({
      name: server.name, note: broker ? `broker ${broker.id}` : "", tall: TALL, side: silent ? length(silent) : "", kind: server.kind,
      tell: (ms) => {
        const reach = during(server.reach, ms);
        const state = during(server.container, ms);
        const told = reach ? [`${reach.answers ? "answers" : "silent"}${reach.note ? `: ${reach.note}` : ""}`, `${seconds(reach.from_ms)} to ${seconds(reach.to_ms)}`] : asked ? ["not asked yet"] : [];
        return [...told, `container: ${state ? stateText(state) : "none"}`];
      },
    });
    sharp(made, ({ bar }) => {
      for (const reach of server.reach) {
        const mode = reach.answers && reach.note ? reach.note : "";
        if (reach.answers) bar(reach.from_ms, reach.to_ms, 2, 13, look, { text: mode, textLook });
        else bar(reach.from_ms, reach.to_ms, 2, 13, "hot-line", { hatch: "hot-hatch", text: "silent", textLook: "on-hot halo" });
      }
      for (const state of server.container) {
        const runs = state.state === "running";
        if (asked) bar(state.from_ms, state.to_ms, 17, 3, runs ? "run-line" : "stop-line", {});
        else bar(state.from_ms, state.to_ms, 4, 14, runs ? "quiet" : "hot-line", { text: runs ? "" : stateText(state), textLook: "on-hot halo", hatch: !runs && "hot-hatch" });
      }
    });
  }
  const named = run.controller.map((now) => now.controller).filter((id) => id >= 0);
  const moves = named.filter((id, index) => index && id !== named[index - 1]).length;
  const controller = lane({
    name: "Controller", tall: TALL, side: moves ? many(moves, "move") : "", kind: "controller",
    tell: (ms) => {
      const now = during(run.controller, ms);
      return now ? [`${service(now.controller)}${now.epoch === null ? "" : `, epoch ${now.epoch}`}`, `${seconds(now.from_ms)} to ${seconds(now.to_ms)}`] : ["not known"];
    },
  });
  sharp(controller, ({ bar }) => run.controller.forEach((now) => {
    if (now.controller < 0) bar(now.from_ms, now.to_ms, 4, 14, "hot-line", { hatch: "hot-hatch", text: "none", textLook: "on-hot halo" });
    else bar(now.from_ms, now.to_ms, 4, 14, `c${colour(now.controller)}`, { text: [`${service(now.controller)}, epoch ${now.epoch ?? "not known"}`, service(now.controller), String(now.controller)], textLook: `t${colour(now.controller)}` });
  }));
}

function groupLanes() {
  const group = lane({
    name: "State", label: "Consumer group", tall: TALL, kind: "group",
    tell: (ms) => {
      const now = during(run.group, ms);
      return now ? [`${now.state}, ${many(now.members, "member")}`, `coordinator ${service(now.coordinator)}`, `${seconds(now.from_ms)} to ${seconds(now.to_ms)}`] : ["no coordinator is known"];
    },
  });
  sharp(group, ({ bar }) => run.group.forEach((now) => {
    const stable = now.state === "Stable";
    const words = [`${now.state}, ${many(now.members, "member")}, coordinator ${service(now.coordinator)}`, now.state];
    bar(now.from_ms, now.to_ms, 4, 14, stable ? "quiet" : "hot-line", { text: words, textLook: stable ? "on-quiet" : "on-hot halo", hatch: !stable && "hot-hatch" });
  }));
  const rebalances = lane({
    name: "Rebalances", tall: TALL, side: run.rebalances.length ? String(run.rebalances.length) : "none", kind: "rebalances",
    tell: (ms) => {
      const near = run.rebalances.filter((one) => Math.abs(one.at_ms - ms) < (view.to - view.from) / 80);
      const what = (one) => `${seconds(one.at_ms)}: ${one.member} ${one.assigned ? "is assigned" : one.lost ? "has lost" : "gives up"} ${many(one.partitions, "partition")}${one.generation === null ? "" : `, generation ${one.generation}`}`;
      return near.length ? near.slice(0, 8).map(what) : ["none here"];
    },
  });
  sharp(rebalances, ({ text }) => run.rebalances.forEach((one) => text(one.at_ms, one.assigned ? 6 : 16, one.assigned ? "▲" : "▼", `mid${one.assigned ? "" : " on-hot"}`)));
}
