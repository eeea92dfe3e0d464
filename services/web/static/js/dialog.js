import { $, el } from "./dom.js";

let cleanup;

/**
 * Opens the dialog. The browser keeps the focus in it and gives it back.
 * @param {string} title
 * @param {Node[]} content
 * @param {() => void} [onclose]
 */
export function openDialog(title, content, onclose) {
  closeDialog();
  $("dialog-title").textContent = title;
  $("dialog-body").replaceChildren(...content);
  $("dialog-body").tabIndex = content.some((n) => n.matches?.(".table-box, .shortcuts")) ? 0 : -1; // scrolls by keys
  cleanup = onclose;
  $("dialog").showModal();
}

export function closeDialog() {
  if ($("dialog").open) $("dialog").close();
}

/** Asks before something that cannot be undone. */
export function confirm(title, text, action, run) {
  openDialog(title, [
    el("p", { text }),
    el("div", { class: "dialog-buttons" },
      el("button", { type: "button", class: "quiet", autofocus: true, text: "Cancel", click: closeDialog }),
      el("button", { type: "button", class: "danger", text: action, click: () => { closeDialog(); run(); } })),
  ]);
}

$("dialog").addEventListener("close", () => {
  const run = cleanup;
  cleanup = undefined;
  document.body.append($("toasts")); // which may be in here
  run?.();
});
$("dialog-close").addEventListener("click", closeDialog);
$("dialog").addEventListener("click", (e) => { if (e.target === $("dialog")) closeDialog(); }); // beside it
