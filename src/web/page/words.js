// Figures and times in words, the same all over the page.

export const grouped = (number) => String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ",");
export const many = (count, what) => `${grouped(count)} ${what}${count === 1 ? "" : "s"}`;

export function length(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 7200000) return `${Math.floor(ms / 60000)} min ${Math.floor((ms % 60000) / 1000)} s`;
  return `${Math.floor(ms / 3600000)} h ${Math.floor((ms % 3600000) / 60000)} min`;
}

// What goes on has no milliseconds that could be read.
export const ongoing = (ms) => (ms < 120000 ? `${(Math.max(ms, 0) / 1000).toFixed(1)} s` : length(ms));

export const rate = (perSecond) => (perSecond < 1000 ? perSecond.toFixed(1) : grouped(perSecond));

// Seconds as metrics have them. A latency has rarely more than two digits that mean something.
export function latency(seconds) {
  const ms = seconds * 1000;
  return ms < 10 ? `${ms.toFixed(1)} ms` : length(ms);
}

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const minuteFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const dayFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
export const clock = (ms) => clockFormat.format(ms);
export const minute = (ms) => minuteFormat.format(ms);
export const day = (ms) => dayFormat.format(ms);

// Numbers with those that follow each other drawn together: 0–3, 5.
export function ranges(numbers) {
  const found = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = found.at(-1);
    if (last && number === last[1] + 1) last[1] = number;
    else found.push([number, number]);
  }
  return found.map(([from, to]) => (from === to ? `${from}` : to === from + 1 ? `${from}, ${to}` : `${from}–${to}`)).join(", ");
}

// What a verdict, or a run's end, looks like. The word is always there, too.
export function mark(word) {
  if (word === "passed" || word === "done") return { look: "good", glyph: "✓" };
  if (word === "failed" || word === "hung") return { look: "bad", glyph: "✕" };
  if (word === "unknown" || word === "no-data" || word === "interrupted") return { look: "doubt", glyph: "?" };
  return { look: "none", glyph: "–" };
}

// The short names of servers: kafka2 is KF2, zookeeper1 is ZK1, controller1 is CT1.
export const short = (name) => name.replace(/^kafka/, "KF").replace(/^zookeeper/, "ZK").replace(/^controller/, "CT");
