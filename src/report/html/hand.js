// What the hand does: zoom, the cursor that all lanes share, what a lane tells at it; and the start of it all.

const tip = document.querySelector(".tip");
const front = element("div", { class: "overlay front" });
const cursor = element("i", { class: "cursor", hidden: "" });
const picked = element("i", { class: "picked", hidden: "" });
const now = element("span", { class: "now", hidden: "" });
let at = null;
let chosen = null;

function zoom(factor, around = (view.from + view.to) / 2) {
  show(around - (around - view.from) * factor, around + (view.to - around) * factor);
}

function showFault() {
  const from = Math.min(...run.faults.map((fault) => fault.injected_ms));
  const to = Math.max(...run.faults.map((fault) => fault.undone_ms ?? run.duration_ms));
  const margin = (to - from) * 0.25;
  show(Math.max(from - margin / 2, 0), Math.min(to + margin, whole.to));
}

// Where on the time axis a pointer is.
function moment(event) {
  const box = lanes[0].plot.getBoundingClientRect();
  return view.from + Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * (view.to - view.from);
}

function laneAt(event) {
  const row = event.target.closest?.(".lane");
  return lanes.find((lane) => lane.row === row) ?? null;
}

function point(ms, lane, x, y) {
  at = ms;
  if (chosen !== lane) {
    chosen?.row.classList.remove("at");
    lane?.row.classList.add("at");
    chosen = lane;
  }
  placeCursor();
  if (!lane?.tell) {
    tip.hidden = true;
    return;
  }
  const when = element("span", { class: "when" }, `${seconds(ms)}, ${wall(ms)}`);
  tip.replaceChildren(element("b", {}, lane.label), ...lane.tell(ms).map((line) => element("div", {}, line)), when);
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const left = x + 16 + width > innerWidth - 4 ? x - 16 - width : x + 16;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, Math.min(y + 16, innerHeight - height - 4))}px`;
}

function unpoint() {
  chosen?.row.classList.remove("at");
  at = chosen = null;
  tip.hidden = true;
  placeCursor();
}

function placeCursor() {
  const seen = at !== null && at >= view.from && at <= view.to;
  cursor.hidden = now.hidden = !seen;
  if (!seen) return;
  cursor.style.left = now.style.left = percent(at);
  now.textContent = seconds(at);
}

// Dragging chooses a part of the run; on a touch screen a finger moves the shown part instead.
function pointers() {
  let held = null;
  board.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest("summary") || !laneAt(event)) return;
    held = { ms: moment(event), x: event.clientX, from: view.from, to: view.to, touch: event.pointerType === "touch" };
  });
  board.addEventListener("pointermove", (event) => {
    const ms = moment(event);
    if (held && Math.abs(event.clientX - held.x) > 5) {
      if (held.touch) {
        const moved = ((event.clientX - held.x) / wide) * (held.to - held.from);
        show(held.from - moved, held.to - moved);
      } else {
        board.setPointerCapture(event.pointerId);
        const [from, to] = [Math.min(ms, held.ms), Math.max(ms, held.ms)];
        picked.hidden = false;
        picked.style.left = percent(from);
        picked.style.width = `${100 * (place(to) - place(from))}%`;
      }
    }
    const lane = picked.hidden ? laneAt(event) : chosen;
    if (lane) point(ms, lane, event.clientX, event.clientY);
    else tip.hidden = true;
  });
  board.addEventListener("pointerup", (event) => {
    if (!picked.hidden && held) {
      const ms = moment(event);
      show(Math.min(ms, held.ms), Math.max(ms, held.ms));
    }
    held = null;
    picked.hidden = true;
  });
  board.addEventListener("pointercancel", () => { held = null; picked.hidden = true; });
  board.addEventListener("pointerleave", () => { if (document.activeElement !== board) unpoint(); else tip.hidden = true; });
  board.addEventListener("dblclick", () => show(whole.from, whole.to));
  // The page must go on scrolling: only over the axis, or with Ctrl, does the wheel zoom.
  board.addEventListener("wheel", (event) => {
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (sideways) {
      const moved = (event.deltaX / wide) * (view.to - view.from);
      show(view.from + moved, view.to + moved);
    } else if (event.ctrlKey || event.metaKey || event.target.closest(".axis")) {
      zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 200), moment(event));
    } else return;
    event.preventDefault();
  }, { passive: false });
}

function keys() {
  // A lane in a folded topic is not shown, and not gone to.
  const beside = (step) => {
    const shown = lanes.filter((lane) => lane.tell && lane.row.offsetParent);
    const index = shown.indexOf(chosen);
    return shown[index < 0 ? 0 : Math.min(Math.max(index + step, 0), shown.length - 1)];
  };
  const go = (ms, lane) => {
    const to = Math.min(Math.max(ms, 0), whole.to);
    const length = view.to - view.from;
    if (to < view.from) show(to - length * 0.1, to + length * 0.9);
    if (to > view.to) show(to - length * 0.9, to + length * 0.1);
    lane.row.scrollIntoView({ block: "nearest" });
    const box = lane.plot.getBoundingClientRect();
    point(to, lane, box.left + Math.min(Math.max(place(to), 0), 1) * box.width, box.bottom - 10);
  };
  board.addEventListener("keydown", (event) => {
    if (event.target !== board || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = (view.to - view.from) / (event.shiftKey ? 10 : 100);
    const from = at ?? (view.from + view.to) / 2;
    const actions = {
      "+": () => zoom(0.6, from), "=": () => zoom(0.6, from), "-": () => zoom(1 / 0.6, from), "0": () => show(whole.from, whole.to), f: showFault,
      ArrowLeft: () => go(from - step, beside(0)), ArrowRight: () => go(from + step, beside(0)),
      ArrowUp: () => go(from, beside(-1)), ArrowDown: () => go(from, beside(1)), Escape: unpoint,
    };
    const action = event.key === "f" && !run.faults.length ? null : actions[event.key];
    if (!action) return;
    action();
    event.preventDefault();
  });
  board.addEventListener("blur", unpoint);
}

function buttons() {
  const actions = { in: () => zoom(0.5), out: () => zoom(2), whole: () => show(whole.from, whole.to), fault: showFault };
  const all = [...document.querySelectorAll("[data-do]")];
  for (const button of all) {
    if (button.dataset.do === "fault" && !run.faults.length) button.remove();
    button.addEventListener("click", () => actions[button.dataset.do]());
  }
  const shown = document.querySelector(".shown");
  drawers.push(() => {
    const entire = view.to - view.from >= whole.to;
    for (const button of all) if (["out", "whole"].includes(button.dataset.do)) button.disabled = entire;
    shown.textContent = entire ? `whole run, ${length(whole.to)}` : `${seconds(view.from)} to ${seconds(view.to)}`;
  });
}

// An event's time leads to its place in the lanes.
function feedLinks() {
  for (const item of document.querySelectorAll(".feed li")) {
    const ms = Number(item.dataset.at);
    const time = item.querySelector(".at");
    const button = element("button", { type: "button", "aria-label": `Show ${time.textContent} in the lanes` }, time.textContent);
    button.addEventListener("click", () => {
      const half = Math.min(view.to - view.from, 10000) / 2;
      show(ms - half, ms + half);
      at = ms;
      placeCursor();
      board.scrollIntoView({ block: "start" });
    });
    time.replaceChildren(button);
  }
}

function start() {
  const timeline = document.getElementById("timeline");
  timeline.hidden = false;
  timeline.prepend(patterns());
  board.append(element("div", { class: "overlay back" }));
  timeLanes();
  heading("Workload");
  rateLane();
  latencyLanes();
  standstillLanes();
  heading("Servers", "whether they answered; below it, their containers");
  serverLanes();
  heading("Consumer group");
  groupLanes();
  heading("Partitions", "leader and in-sync replicas; at the right the longest pause in writing");
  partitionLanes();
  legend();
  front.append(cursor, picked);
  board.append(front);
  lanes[0].plot.append(now);
  drawers.push(placeCursor);
  buttons();
  pointers();
  keys();
  feedLinks();
  draw();
  new ResizeObserver(() => { drawing ||= requestAnimationFrame(draw); }).observe(board);
  // On paper nothing can be unfolded.
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((fold) => { fold.open = true; }));
  board.getBoundingClientRect();
  root.dataset.ready = Math.round(performance.now());
}

try {
  start();
} catch (error) {
  failed(String(error));
  document.querySelector(".lanes").replaceChildren(element("p", { class: "lead" }, `The lanes could not be drawn: ${error}`));
}
