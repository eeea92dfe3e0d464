import { keep, setLabel } from "./dom.js";

const names = { system: "as the system", light: "light", dark: "dark" };
const order = ["system", "light", "dark"];

const now = () => document.documentElement.dataset.theme ?? "system";

/** What the switch says. */
export const themeLabel = () => `Colours: ${names[now()]}`;

/** Goes to the next choice of colours. */
export function nextTheme() {
  const next = order[(order.indexOf(now()) + 1) % order.length];
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  keep.set("theme", next);
  drawSwitches();
}

export function drawSwitches() {
  for (const button of document.querySelectorAll(".theme-switch")) setLabel(button, themeLabel());
}
