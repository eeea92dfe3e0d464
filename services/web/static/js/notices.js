import { $, el } from "./dom.js";

/** Shows a short notice for some seconds; screen readers read it. */
export function toast(text, { bad = false, seconds = bad ? 7 : 4 } = {}) {
  const front = document.querySelector("dialog[open]") ?? document.body; // what is behind a dialog is dim, and not read out
  if ($("toasts").parentNode !== front) front.append($("toasts"));
  const old = [...$("toasts").children].find((t) => t.textContent === text);
  old?.remove();
  const box = el("p", { class: bad ? "toast bad" : "toast", text });
  $("toasts").append(box);
  while ($("toasts").children.length > 3) $("toasts").firstElementChild.remove();
  setTimeout(() => box.remove(), seconds * 1000);
}

/** Shows why something did not work. Somebody who closes a browser's question has not failed. */
export function complain(err) {
  if (err?.name === "NotAllowedError") return;
  toast(err?.message || "That did not work.", { bad: true });
}

let queue = [];
let timer;

/** Says something to screen readers only, what comes together as one. */
export function say(text) {
  queue.push(text);
  timer ??= setTimeout(() => {
    $("say").textContent = queue.length > 3 ? `${queue.length} people came or left` : queue.join(". ");
    queue = [];
    timer = undefined;
  }, 1500);
}
