import { confirm } from "./dialog.js";
import { showDevices, showHelp, showInvite, showKeypad, showLayouts } from "./dialogs.js";
import { $, el, icon, setIcon, setLabel } from "./dom.js";
import { openMenu } from "./menu.js";
import { complain, say, toast } from "./notices.js";
import { gradeWords, showQuality } from "./quality-view.js";
import { yes } from "./room.js";
import { nextTheme, themeLabel } from "./theme-switch.js";
import { count, deviceProblem } from "./words.js";

/** The controls below the picture, and those above it. */
export class BarView {
  /**
   * @param {import("./session.js").Session} session
   * @param {import("./devices.js").Devices} devices
   * @param {import("./panel.js").Panel} panel
   */
  constructor(session, devices, panel) {
    Object.assign(this, { session, devices, panel, room: session.room });
    const draw = () => this.#draw();
    this.offs = [
      devices.on("change", draw),
      session.on("state", draw),
      session.on("quality", (q) => this.#quality(q)),
      session.presentation.on("change", draw),
      ...["people", "status", "chat", "presentation", "layout"].map((name) => this.room.on(name, draw)),
    ];
    /** What keys and buttons do, by name. */
    this.commands = {
      mute: () => this.#toggle("audio"),
      camera: () => this.#toggle("video"),
      hand: () => session.seat.me(this.#raised ? "clearbuzz" : "buzz").catch(complain),
      share: () => this.#share(),
      people: () => panel.toggle("people"),
      chat: () => { if (session.canChat) panel.toggle("chat"); },
      layout: () => { if (session.host) showLayouts(session); },
      keypad: () => showKeypad(session),
      full: () => this.#full(),
      invite: () => showInvite(session),
      quality: () => showQuality(session),
      help: () => showHelp(),
    };
    const bind = { mute: "mute", camera: "camera", hand: "hand", share: "share", "people-toggle": "people", "chat-toggle": "chat", "layout-open": "layout", invite: "invite", "alone-invite": "invite", quality: "quality", "sharing-stop": "share" };
    for (const [id, command] of Object.entries(bind)) $(id).onclick = this.commands[command];
    $("more").onclick = () => this.#more();
    $("leave").onclick = () => session.end();
    this.#leaveMenu();
    setLabel($("more"), "More", "More");
    setLabel($("leave"), "Leave the call", "Leave");
    setLabel($("invite"), "Invite people", "Invite");
    setLabel($("layout-open"), "Choose a layout", "Layout");
    panel.listeners.push(draw);
    draw();
    this.#quality();
  }

  #leaveMenu() {
    $("leave-more")?.remove();
    const button = el("button", { type: "button", id: "leave-more", class: "tool host-only", "aria-haspopup": "menu", "aria-expanded": "false", "aria-label": "More ways to leave" }, icon("up"));
    button.addEventListener("click", () => openMenu(button, [
      { label: "Leave", icon: "leave", run: () => this.session.end() },
      { label: "End for all", icon: "close", bad: true, run: () => this.#endAll() },
    ]));
    document.querySelector(".leave-group").append(button);
  }

  #endAll() {
    confirm("End the meeting for all?", "Everybody in the room will be disconnected.", "End for all",
      () => this.session.endAll().catch(complain));
  }

  get #raised() { return this.room.self?.buzz_time > 0; }

  async #toggle(kind) {
    const { devices } = this;
    if (!devices.off[kind] && !devices.has(kind)) {
      await devices.open(); // it may be there by now
      if (!devices.has(kind)) toast(deviceProblem(kind, devices.problem[kind]), { bad: true });
      return;
    }
    await this.session.toggle(kind).catch(complain);
  }

  async #share() {
    const { session } = this, { presentation } = session;
    if (presentation.screen) return presentation.stop().catch(complain);
    if (!session.canShare) return;
    await session.ask("presentation", () => presentation.share()).then(() => say("You are presenting")).catch(complain);
  }

  #full() {
    if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
    else document.documentElement.requestFullscreen?.().catch(() => toast("The browser does not allow full screen here.", { bad: true }));
  }

  #float() {
    const far = $("far");
    if (document.pictureInPictureElement) document.exitPictureInPicture().catch(() => {});
    else far.requestPictureInPicture().catch(() => toast("The browser cannot show the picture in a window of its own here.", { bad: true }));
  }

  #more() {
    const { session, commands: c, room } = this;
    const narrow = !$("share").checkVisibility() && session.canShare;
    openMenu($("more"), [
      session.canChat && !$("chat-toggle").checkVisibility() && { label: "Chat", icon: "chat", run: c.chat, count: room.unread },
      narrow && { label: session.presentation.screen ? "Stop sharing" : "Share your screen", icon: "screen", run: c.share },
      { label: "Devices", icon: "settings", run: () => showDevices(this.devices) },
      session.host && { label: "Layout", icon: "layout", run: c.layout, key: "L" },
      { label: "Keypad", icon: "keypad", run: c.keypad, key: "K" },
      document.fullscreenEnabled && { label: document.fullscreenElement ? "End full screen" : "Full screen", icon: "full", run: c.full, key: "F" },
      document.pictureInPictureEnabled && { label: document.pictureInPictureElement ? "Attach the picture" : "Picture in picture", icon: "pip", run: () => this.#float() },
      "line",
      { label: "Invite people", icon: "link", run: c.invite, key: "I" },
      { label: "Connection quality", icon: "chart", run: c.quality, key: "Q" },
      { label: themeLabel(), icon: "theme", run: nextTheme },
      { label: "Keyboard shortcuts", icon: "help", run: c.help, key: "?" },
      session.host && "line",
      session.host && { label: "End for all", icon: "close", bad: true, run: () => this.#endAll() },
    ]);
  }

  #draw() {
    const { devices, room, session } = this;
    const byHost = yes(room.self?.is_muted);
    const silent = byHost || devices.off.audio || !devices.has("audio");
    const dark = devices.off.video || !devices.has("video");
    for (const [id, off, symbol, label, short] of [
      ["mute", silent, "mic", byHost ? "Unmute; a host has muted you" : silent ? "Unmute" : "Mute", silent ? "Unmute" : "Mute"],
      ["camera", dark, "cam", dark ? "Start camera" : "Stop camera", "Camera"],
    ]) {
      setIcon($(id), off ? `${symbol}-off` : symbol);
      setLabel($(id), label, short);
      $(id).classList.toggle("off", off);
    }
    if (byHost && !this.wasByHost) toast("A host has muted you.");
    this.wasByHost = byHost;
    setLabel($("hand"), this.#raised ? "Lower your hand" : "Raise your hand", this.#raised ? "Lower" : "Hand");
    $("hand").setAttribute("aria-pressed", String(this.#raised));
    $("share").hidden = !session.canShare;
    const sharing = !!session.presentation.screen;
    setLabel($("share"), sharing ? "Stop sharing your screen" : "Share your screen", sharing ? "Stop" : "Share");
    $("share").setAttribute("aria-pressed", String(sharing));
    const waiting = session.host && !this.panel.shows("people") ? room.waiting.length : 0;
    this.#dot("people-toggle", "People", waiting, `, ${waiting} waiting`);
    this.#dot("chat-toggle", "Chat", room.unread, `, ${count(room.unread, "new message")}`);
    this.#dot("more", "More", $("chat-toggle").checkVisibility() ? 0 : room.unread, `, ${count(room.unread, "new message")}`);
  }

  #dot(id, label, n, words) {
    const dot = $(id).querySelector(".dot");
    dot.hidden = n === 0;
    dot.dataset.count = n > 99 ? "99+" : String(n); // the style shows it; the name of the button says it
    setLabel($(id), label + (n ? words : ""), label);
  }

  #quality(q) {
    const grade = q?.grade ?? "unknown";
    if (q && $("quality").dataset.grade === grade) return;
    $("quality").dataset.grade = grade;
    setLabel($("quality"), `Connection quality: ${gradeWords[grade]}`);
  }

  close() { for (const off of this.offs) off(); }
}
