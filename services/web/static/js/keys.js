import { keep } from "./dom.js";

/** What a key does, in the order of the help. */
export const shortcuts = [
  ["m", "mute", "Microphone on or off"],
  ["v", "camera", "Camera on or off"],
  ["h", "hand", "Raise or lower your hand"],
  ["s", "share", "Share your screen, or stop"],
  ["p", "people", "Show or hide people"],
  ["c", "chat", "Show or hide chat"],
  ["l", "layout", "Choose a layout"],
  ["k", "keypad", "Keypad"],
  ["f", "full", "Full screen"],
  ["i", "invite", "Invite people"],
  ["q", "quality", "Connection quality"],
  ["?", "help", "This list"],
];

/** Single keys disturb those who dictate to their computer; so they can be switched off. */
export const keysOn = () => keep.get("shortcuts") !== "off";
export const setKeys = (on) => keep.set("shortcuts", on ? "on" : "off");

/** Runs commands by keys, while nothing is typed and no dialog is open. */
export class Keys {
  /** @param {Record<string, () => void>} commands */
  constructor(commands) {
    this.listener = (e) => {
      if (!keysOn() || e.ctrlKey || e.metaKey || e.altKey || e.repeat) return;
      if (e.target.closest?.("input, select, textarea, dialog, [role=menu]") || document.querySelector("dialog[open]")) return;
      const found = shortcuts.find(([key]) => key === e.key.toLowerCase());
      if (!found || !commands[found[1]]) return;
      e.preventDefault();
      commands[found[1]]();
    };
    addEventListener("keydown", this.listener);
  }

  close() { removeEventListener("keydown", this.listener); }
}
