import { testSpeaker } from "./devices.js";
import { closeDialog, openDialog } from "./dialog.js";
import { el, icon, svg } from "./dom.js";
import { keysOn, setKeys, shortcuts } from "./keys.js";
import { complain, toast } from "./notices.js";
import { bindPicker } from "./pickers.js";
import { deviceProblems, layoutName } from "./words.js";

/** Lets one change devices during the call. */
export function showDevices(devices) {
  const picker = (label, kind, extra) => {
    const select = el("select");
    return [el("label", { text: `${label} ` }, extra ? el("span", { class: "with-button" }, select, extra) : select), bindPicker(select, devices, kind)];
  };
  const test = el("button", { type: "button", class: "quiet", text: "Test", click: () => testSpeaker(devices) });
  const made = [picker("Microphone", "audio"), picker("Camera", "video"), ...(devices.list.output.length ? [picker("Speaker", "output", test)] : [])];
  const help = el("p", { class: "note-box", role: "status" });
  const draw = () => {
    help.textContent = deviceProblems(devices.problem);
    help.hidden = !help.textContent;
  };
  draw();
  const off = devices.on("change", draw);
  openDialog("Devices", [...made.map(([field]) => field), help], () => { off(); for (const [, end] of made) end(); });
}

/** Shows the layouts that the server has, as pictures. */
export async function showLayouts(session) {
  let views;
  try {
    views = await session.seat.get("available_layouts");
  } catch (err) {
    return complain(err);
  }
  const box = el("div", { class: "layouts", role: "group", "aria-label": "Layout" });
  const draw = () => {
    for (const button of box.children) button.setAttribute("aria-pressed", String(button.dataset.view === session.room.view));
  };
  for (const view of views) {
    const button = el("button", {
      type: "button", "data-view": view, autofocus: view === session.room.view,
      click: () => session.seat.post("transform_layout", { transforms: { layout: view } }).catch(complain),
    }, layoutPicture(view), el("span", { text: layoutName(view) }));
    box.append(button);
  }
  draw();
  openDialog("Layout", [el("p", { class: "dim", text: "Everybody in the room sees the layout that you choose." }), box], session.room.on("layout", draw));
}

/** Draws a layout: LARGE:SMALL tiles, or an adaptive one. */
function layoutPicture(view) {
  const picture = svg("svg", { viewBox: "0 0 160 90", "aria-hidden": "true" });
  const tile = (x, y, w, h) => picture.append(svg("rect", { x: x + 1.5, y: y + 1.5, width: w - 3, height: h - 3, rx: 3 }));
  const [large, small] = view.split(":").map(Number);
  if (!Number.isFinite(large)) { // as many as there are
    tile(0, 0, 80, 45); tile(80, 0, 80, 45); tile(40, 45, 80, 45);
  } else if (small > 0) {
    const n = (small + 1) / 2, w = 160 / n, h = 90 / n; // one is large, the others on its right and below it
    tile(0, 0, 160 - w, 90 - h);
    for (let i = 0; i < n - 1; i++) tile(160 - w, i * h, w, h);
    for (let i = 0; i < n; i++) tile(i * w, 90 - h, w, h);
  } else {
    const columns = Math.ceil(Math.sqrt(large)) || 1;
    for (let i = 0; i < large; i++) tile((i % columns) * 160 / columns, Math.floor(i / columns) * 90 / columns, 160 / columns, 90 / columns);
  }
  return picture;
}

/** Copies the link, and calls phones and room systems. */
export function showInvite(session) {
  const link = `${location.origin}/join/${encodeURIComponent(session.alias)}`;
  const field = el("input", { readonly: true, value: link, "aria-label": "Link to this room" });
  field.addEventListener("focus", () => field.select());
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(link);
      toast("The link is copied");
      closeDialog();
    } catch {
      field.focus(); // one can copy it by hand
    }
  };
  const content = [
    el("p", { class: "dim", text: "Whoever has this link can join in a browser." }),
    el("div", { class: "line" }, field, el("button", { type: "button", class: "primary", autofocus: true, click: copy }, icon("link"), el("span", { text: "Copy" }))),
  ];
  if (session.host && !session.lacks.has("dial")) content.push(...dialOut(session));
  openDialog("Invite people", content);
}

function dialOut(session) {
  const to = el("input", { name: "destination", placeholder: "room7@example.com", autocomplete: "off", autocapitalize: "off", spellcheck: "false", required: true });
  const role = el("select", {}, el("option", { value: "GUEST", text: "as a guest" }), el("option", { value: "HOST", text: "as a host" }));
  const error = el("p", { class: "error", role: "alert", hidden: true });
  const form = el("form", { class: "dial-form" },
    el("h3", { text: "Call a phone or a room system" }),
    el("label", { text: "SIP address " }, to), el("label", { text: "Joins " }, role), error,
    el("div", { class: "dialog-buttons" }, el("button", { type: "submit", class: "primary" }, icon("dial"), el("span", { text: "Call" }))));
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    error.hidden = true;
    try {
      await session.ask("dial", () => session.seat.post("dial", { destination: to.value.trim(), protocol: "sip", role: role.value }));
      closeDialog();
      toast(`Calling ${to.value.trim()}…`);
    } catch (err) {
      error.textContent = err.unsupported ? "This server does not call anybody." : err.message;
      error.hidden = false;
    }
  });
  return [form];
}

/** Sends the tones of a phone's keys. */
export function showKeypad(session) {
  const shown = el("p", { class: "pressed", role: "status", "aria-label": "Pressed" });
  const press = (digit) => {
    shown.textContent = (shown.textContent + digit).slice(-20);
    session.call?.press(digit).catch(complain);
  };
  const pad = el("div", { class: "keys" }, ...[..."123456789*0#"].map((d) => el("button", { type: "button", autofocus: d === "1", text: d, "aria-label": { "*": "star", "#": "pound" }[d] ?? d, click: () => press(d) })));
  const type = (e) => { if (/^[0-9*#]$/.test(e.key)) press(e.key); };
  document.addEventListener("keydown", type);
  openDialog("Keypad", [shown, pad], () => document.removeEventListener("keydown", type));
}

/** Lists the keys. */
export function showHelp() {
  const list = el("dl", { class: "shortcuts" }, ...shortcuts.flatMap(([key, , text]) => [el("dt", {}, el("kbd", { text: key.toUpperCase() })), el("dd", { text })]));
  const box = el("input", { type: "checkbox", change: () => setKeys(box.checked) });
  box.checked = keysOn();
  openDialog("Keyboard shortcuts", [list, el("label", { class: "check" }, box, "Single keys are shortcuts")]);
}
