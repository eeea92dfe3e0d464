import { BarView } from "./bar-view.js";
import { ChatView } from "./chat-view.js";
import { closeDialog } from "./dialog.js";
import { $ } from "./dom.js";
import { Keys } from "./keys.js";
import { closeMenu } from "./menu.js";
import { say, toast } from "./notices.js";
import { Panel } from "./panel.js";
import { RosterView } from "./roster-view.js";
import { StageView } from "./stage-view.js";
import { count } from "./words.js";

/** The page during a call: its parts, and what concerns all of them. */
export class CallView {
  /**
   * @param {import("./session.js").Session} session
   * @param {import("./devices.js").Devices} devices
   */
  constructor(session, devices) {
    const { room } = session;
    this.panel = new Panel(session);
    this.parts = [
      new StageView(session, devices),
      new RosterView(session, this.panel),
      new ChatView(session, this.panel),
      new BarView(session, devices, this.panel),
    ];
    this.keys = new Keys(this.parts[3].commands);
    this.offs = [
      room.on("here", (change) => this.#here(change)),
      room.on("status", () => { $("locked").hidden = !room.status.locked; }),
      session.on("state", () => this.#state(session)),
    ];
    $("room-name").textContent = session.seat.conference;
    document.title = `${session.seat.conference} – Skybridge`;
    const began = Date.now();
    const tick = () => {
      const s = Math.floor((Date.now() - began) / 1000);
      const two = (n) => String(n).padStart(2, "0");
      $("clock").textContent = (s >= 3600 ? `${Math.floor(s / 3600)}:` : "") + `${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
    };
    tick();
    this.timer = setInterval(tick, 1000);
    this.#stayAwake();
    this.#state(session);
    $("mute").focus({ focusVisible: false });
  }

  #state(session) {
    const connecting = session.state === "connecting" || session.state === "new";
    $("call-note-text").textContent = connecting ? "Connecting…" : "";
    $("banner").textContent = session.state === "reconnecting" ? "The connection was interrupted. Getting it back…" : "";
  }

  #here({ joined, left, waits }) {
    const tell = (names, one, more) => {
      if (!names.length) return;
      const text = names.length <= 2 ? `${names.join(" and ")} ${one}` : `${count(names.length, "person", "people")} ${more}`;
      say(text);
      return text;
    };
    tell(joined, "joined", "joined");
    tell(left, "left", "left");
    if (waits.length && !this.panel.shows("people")) toast(tell(waits, waits.length > 1 ? "are waiting to be let in" : "is waiting to be let in", "are waiting to be let in"), { seconds: 6 });
  }

  /** Screens must not go dark while one listens. */
  async #stayAwake() {
    const ask = async () => { this.lock = await navigator.wakeLock?.request("screen").catch(() => undefined); };
    this.awake = () => { if (document.visibilityState === "visible") ask(); };
    document.addEventListener("visibilitychange", this.awake);
    await ask();
  }

  close() {
    clearInterval(this.timer);
    document.removeEventListener("visibilitychange", this.awake);
    this.lock?.release().catch(() => {});
    for (const off of this.offs) off();
    for (const part of this.parts) part.close();
    this.keys.close();
    closeMenu();
    closeDialog();
    $("toasts").replaceChildren();
    if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
    if (document.pictureInPictureElement) document.exitPictureInPicture().catch(() => {});
  }
}
