import { el } from "./dom.js";

/** Puts initials and a colour of its own on a face, or makes one. */
export function face(name, node = el("span", { class: "face", "aria-hidden": "true" })) {
  const words = name.replace(/^sips?:/, "").split(/[\s._@-]+/).filter(Boolean);
  node.textContent = ((words[0]?.[0] ?? "?") + (words.length > 1 ? words.at(-1)[0] : "")).toUpperCase();
  node.dataset.tint = String([...name].reduce((sum, c) => sum + c.codePointAt(0), 0) % 6);
  return node;
}
