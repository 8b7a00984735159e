// Elements and shapes; and how to touch only what changes, so that the page stays calm and a selection stays where it is.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function shape(name, attributes = {}, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function badge(node, { look, glyph }, word) {
  node.className = `badge ${look}`;
  node.replaceChildren(element("span", { class: "glyph", "aria-hidden": "true" }, glyph), ` ${word}`);
}

// Makes a list's items those that are wanted: `make` makes one, `fill` tells it what it shows.
export function list(node, wanted, make, fill) {
  while (node.children.length > wanted.length) node.lastElementChild.remove();
  wanted.forEach((one, index) => fill(node.children[index] ?? node.appendChild(make()), one));
}

// Whether what is to be shown differs from what was shown the last time.
export function differs() {
  let shown;
  return (...parts) => {
    const now = JSON.stringify(parts);
    const changed = now !== shown;
    shown = now;
    return changed;
  };
}

// Hatching, for what must be told apart without colour. Patterns are found by id in the whole page.
export function patterns() {
  const svg = shape("svg", { width: 0, height: 0, "aria-hidden": "true", class: "hidden" });
  const pattern = shape("pattern", { id: "hot-hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  pattern.append(shape("line", { x1: 0, y1: 0, x2: 0, y2: 5, class: "hot-stripes" }));
  svg.append(pattern);
  return svg;
}
