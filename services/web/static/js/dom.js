// Small helpers for the page's elements.

/** @param {string} id @returns {any} the element of that id */
export const $ = (id) => document.getElementById(id);

/**
 * Makes an element. Properties that are functions listen to the event of that
 * name, "text" is its text, booleans are attributes with or without presence.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node|string|false|undefined)} children
 * @returns {any}
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (name === "text") node.textContent = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== undefined) node.setAttribute(name, String(value));
  }
  node.append(...children.filter((c) => c !== false && c !== undefined));
  return node;
}

const svgNS = "http://www.w3.org/2000/svg";

/** @param {string} tag @param {Record<string, any>} props @returns {any} an SVG element */
export function svg(tag, props = {}, ...children) {
  const node = document.createElementNS(svgNS, tag);
  for (const [name, value] of Object.entries(props)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** @param {string} name a symbol of index.html @returns {SVGElement} */
export function icon(name) {
  return svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));
}

/** Shows another symbol in an icon that is there. */
export function setIcon(parent, name) {
  parent.querySelector("use").setAttribute("href", `#i-${name}`);
}

/** Names a button for the eye (a label below, a tip) and for screen readers. */
export function setLabel(button, text, short = text) {
  button.setAttribute("aria-label", text);
  button.title = text;
  const label = button.querySelector(".label");
  if (label) label.textContent = short;
}

/** Keeps settings of this browser; private windows may have no room for them. */
export const keep = {
  get(key) { try { return localStorage.getItem(key) ?? undefined; } catch { return undefined; } },
  set(key, value) { try { localStorage.setItem(key, value); } catch { /* for this visit only, then */ } },
};
