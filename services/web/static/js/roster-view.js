import { confirm } from "./dialog.js";
import { $, el, icon, setIcon, setLabel } from "./dom.js";
import { face } from "./face.js";
import { openMenu } from "./menu.js";
import { complain, toast } from "./notices.js";
import { isMuted, nameOf, yes } from "./room.js";
import { count, origin } from "./words.js";

/** The list of people, and what a host may do with them. */
export class RosterView {
  /**
   * @param {import("./session.js").Session} session
   * @param {import("./panel.js").Panel} panel
   */
  constructor(session, panel) {
    Object.assign(this, { session, panel, room: session.room });
    const soon = () => { this.frame ??= requestAnimationFrame(() => { this.frame = undefined; this.#draw(); }); };
    this.offs = ["people", "stage", "status"].map((name) => this.room.on(name, soon));
    $("mute-guests").onclick = () => {
      const on = !this.room.status.guests_muted;
      session.seat.post(on ? "muteguests" : "unmuteguests").then(() => toast(on ? "All guests are muted" : "Guests may speak again")).catch(complain);
    };
    $("lock").onclick = () => session.seat.post(this.room.status.locked ? "unlock" : "lock").catch(complain);
    $("admit-all").onclick = () => { for (const p of this.room.waiting) this.#admit(p); };
    $("people").replaceChildren();
    this.#draw();
  }

  #admit(p) { this.session.seat.of(p.uuid, "unlock").catch(complain); }

  #draw() {
    const { room, session } = this;
    const people = room.present;
    $("count").textContent = String(people.length);
    $("tab-people").setAttribute("aria-label", `People, ${people.length}`);
    const rows = new Map([...$("people").children].map((row) => [row.dataset.id, row]));
    // A row stays the same element while its participant is here, so that it keeps the focus.
    people.forEach((p, i) => {
      const row = rows.get(p.uuid) ?? this.#row(p.uuid);
      rows.delete(p.uuid);
      if ($("people").children[i] !== row) $("people").insertBefore(row, $("people").children[i] ?? null);
      this.#fill(row, p);
    });
    for (const row of rows.values()) row.remove();
    this.#waiting();
    for (const tool of document.querySelectorAll(".host-only")) tool.hidden = !session.host;
    const { locked, guests_muted: muted } = room.status;
    $("lock").lastElementChild.textContent = locked ? "Unlock room" : "Lock room";
    setIcon($("lock"), locked ? "unlock" : "lock");
    $("mute-guests").lastElementChild.textContent = muted ? "Unmute guests" : "Mute guests";
    setIcon($("mute-guests"), muted ? "mic" : "mic-off");
  }

  #row(id) {
    const row = el("li", { class: "person" },
      el("span", { class: "face", "aria-hidden": "true" }),
      el("div", { class: "who" }, el("b"), el("small")),
      el("span", { class: "marks" }),
      el("button", { type: "button", class: "ghost mute", click: () => this.#mute(id) }, icon("mic")),
      el("button", { type: "button", class: "ghost act", "aria-haspopup": "menu", "aria-expanded": "false", click: (e) => this.#menu(id, e.currentTarget) }, icon("more")));
    row.dataset.id = id;
    return row;
  }

  #fill(row, p) {
    const self = p.uuid === this.room.me();
    const name = nameOf(p), muted = isMuted(p), watches = p.is_streaming_conference;
    const [head, who, marks, mute, act] = row.children;
    row.classList.toggle("speaking", this.room.speaking.has(p.uuid));
    face(name, head);
    const shown = self ? `${name} (you)` : name;
    who.firstElementChild.textContent = who.firstElementChild.title = shown;
    who.lastElementChild.textContent = [
      p.service_type === "connecting" ? "Connecting…" : watches ? "Viewer" : p.role === "chair" ? "Host" : "Guest", origin(p.protocol),
      muted && "muted", yes(p.is_video_muted) && "no camera", yes(p.is_on_hold) && "on hold",
    ].filter(Boolean).join(" · ");
    const wanted = [p.buzz_time > 0 && ["hand", "raised", "Has raised a hand"], p.spotlight > 0 && ["star", "lit", "In the spotlight"], yes(p.is_presenting) && ["screen", "lit", "Is presenting"]].filter(Boolean);
    const key = wanted.map(([i]) => i).join();
    if (marks.dataset.key !== key) {
      marks.dataset.key = key;
      marks.replaceChildren(...wanted.map(([symbol, kind, text]) => el("span", { class: kind, role: "img", "aria-label": text, title: text }, icon(symbol))));
    }
    setIcon(mute, muted ? "mic-off" : "mic");
    mute.classList.toggle("muted", muted);
    mute.hidden = watches || !(self || this.session.host);
    setLabel(mute, `${yes(p.is_muted) || (self && muted) ? "Unmute" : "Mute"} ${self ? "yourself" : name}`);
    act.hidden = self ? !(p.buzz_time > 0) && !this.session.host : !this.session.host && !this.session.canChat;
    setLabel(act, `More for ${name}`);
  }

  #mute(id) {
    if (id === this.room.me()) return this.session.toggle("audio").catch(complain);
    const p = this.room.people.get(id);
    if (!yes(p.is_muted) && yes(p.is_client_muted)) return toast(`${nameOf(p)} is muted already, by choice`);
    this.session.seat.of(id, yes(p.is_muted) ? "unmute" : "mute").catch(complain);
  }

  #menu(id, button) {
    const p = this.room.people.get(id);
    if (!p) return;
    const { session } = this, { host } = session;
    const self = id === this.room.me(), name = nameOf(p), watches = p.is_streaming_conference;
    const ask = (what, body) => () => session.seat.of(id, what, body).catch(complain);
    openMenu(button, [
      !self && session.canChat && p.supports_direct_chat !== false && { label: "Send a message", icon: "chat", run: () => { this.panel.show("chat"); $("chat-to").value = id; $("chat-text").focus(); } },
      p.buzz_time > 0 && (host || self) && { label: "Lower hand", icon: "hand", run: ask("clearbuzz") },
      host && !watches && { label: p.spotlight > 0 ? "End spotlight" : "Spotlight", icon: "star", run: ask(p.spotlight > 0 ? "spotlightoff" : "spotlighton") },
      host && !self && !watches && { label: yes(p.is_video_muted) ? "Show picture" : "Hide picture", icon: yes(p.is_video_muted) ? "cam" : "cam-off", run: ask(yes(p.is_video_muted) ? "video_unmuted" : "video_muted") },
      host && !watches && { label: p.role === "chair" ? "Make a guest" : "Make a host", icon: "role", run: () => this.#role(p, self) },
      host && !self && !watches && "line",
      host && !self && { label: "Remove from the room", icon: "close", bad: true, run: () => confirm(`Remove ${name}?`, `${name} will be disconnected, and can join again unless you lock the room.`, "Remove", ask("disconnect")) },
    ]);
  }

  #role(p, self) {
    const run = () => this.session.seat.of(p.uuid, "role", { role: p.role === "chair" ? "guest" : "chair" }).catch(complain);
    if (!self) return run();
    confirm("Become a guest?", "You will not be able to control the room any more. Another host can make you a host again.", "Become a guest", run);
  }

  #waiting() {
    const list = this.session.host ? this.room.waiting : [];
    $("waiting-box").hidden = list.length === 0;
    $("waiting-title").textContent = `${count(list.length, "person", "people")} waiting`;
    $("admit-all").hidden = list.length < 2;
    const key = list.map((p) => p.uuid + nameOf(p)).join();
    if ($("waiting-list").dataset.key === key) return;
    $("waiting-list").dataset.key = key;
    $("waiting-list").replaceChildren(...list.map((p) => el("li", {},
      el("b", { text: nameOf(p) }),
      el("button", { type: "button", class: "quiet", text: "Refuse", "aria-label": `Refuse ${nameOf(p)}`, click: () => this.session.seat.of(p.uuid, "disconnect").catch(complain) }),
      el("button", { type: "button", class: "primary admit", text: "Let in", "aria-label": `Let in ${nameOf(p)}`, click: () => this.#admit(p) }))));
  }

  close() {
    cancelAnimationFrame(this.frame);
    for (const off of this.offs) off();
  }
}
