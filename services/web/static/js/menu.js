import { $, el, icon } from "./dom.js";

/** @typedef {{label: string, icon?: string, run: () => void, bad?: boolean, key?: string, count?: number}|"line"} Item */

let owner; // the button that the menu belongs to

/**
 * Opens the menu at a button, or closes it if it is open there.
 * @param {HTMLElement} button
 * @param {(Item|false|undefined)[]} items
 */
export function openMenu(button, items) {
  const menu = $("menu");
  const same = owner === button;
  closeMenu();
  if (same) return;
  owner = button;
  menu.setAttribute("aria-label", button.getAttribute("aria-label") ?? button.textContent.trim());
  menu.replaceChildren(...items.filter(Boolean).map((item) => item === "line" ? el("hr") : el("button", {
    type: "button", role: "menuitem", tabindex: "-1", class: item.bad ? "bad" : undefined,
    click: () => { closeMenu(true); item.run(); },
  }, item.icon ? icon(item.icon) : "", el("span", { text: item.label }),
  item.count ? el("span", { class: "dot", "data-count": item.count }) : "",
  item.key ? el("kbd", { "aria-hidden": "true", text: item.key }) : "")));
  menu.showPopover();
  place(menu, button.getBoundingClientRect());
  button.setAttribute("aria-expanded", "true");
  choices()[0]?.focus();
}

/** Above or below the button, wherever there is room. */
function place(menu, at) {
  const { width, height } = menu.getBoundingClientRect();
  const gap = 8;
  const left = Math.max(gap, Math.min(at.left, innerWidth - width - gap));
  const below = at.bottom + gap + height < innerHeight;
  menu.style.left = `${left}px`;
  menu.style.top = `${Math.max(gap, below ? at.bottom + gap : at.top - height - gap)}px`;
}

export function closeMenu(refocus = false) {
  if (!owner) return;
  const button = owner;
  owner = undefined;
  $("menu").hidePopover();
  button.setAttribute("aria-expanded", "false");
  if (refocus && button.isConnected) button.focus();
}

const choices = () => /** @type {HTMLElement[]} */ ([...$("menu").querySelectorAll("button")]);

$("menu").addEventListener("keydown", (e) => {
  const list = choices();
  const i = list.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const to = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: list.length - 1 }[e.key];
  if (to !== undefined) {
    e.preventDefault();
    list.at(to % list.length).focus();
  } else if (e.key === "Escape" || e.key === "Tab") {
    e.preventDefault();
    closeMenu(true);
  }
  e.stopPropagation(); // shortcuts of the page do not reach into a menu
});
addEventListener("pointerdown", (e) => {
  const target = /** @type {Node} */ (e.target);
  if (owner && !$("menu").contains(target) && !owner.contains(target)) closeMenu();
});
addEventListener("resize", () => {
  if (owner?.checkVisibility()) place($("menu"), owner.getBoundingClientRect());
  else closeMenu();
});
