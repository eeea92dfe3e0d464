import { $, el } from "./dom.js";
import { complain, toast } from "./notices.js";
import { nameOf } from "./room.js";

/** The chat, with everybody or with one. */
export class ChatView {
  /**
   * @param {import("./session.js").Session} session
   * @param {import("./panel.js").Panel} panel
   */
  constructor(session, panel) {
    Object.assign(this, { session, panel, room: session.room });
    this.shown = 0;
    this.offs = [
      this.room.on("chat", (entry) => this.#changed(entry)),
      this.room.on("people", () => this.#targets()),
      this.room.on("status", () => this.#possible()),
      session.on("state", () => this.#possible()),
    ];
    panel.listeners.push((tab) => { if (tab === "chat") { this.room.read(); this.#down(); } });
    $("chat-form").onsubmit = (e) => { e.preventDefault(); this.#send(); };
    $("chat-text").onkeydown = (e) => {
      e.stopPropagation();
      if (e.key === "Escape") panel.hide(true);
      this.shift = e.shiftKey;
    };
    $("chat-text").onbeforeinput = (e) => { // also of keyboards on a screen, which do not always name their keys
      if (e.inputType !== "insertLineBreak" || this.shift || e.isComposing) return;
      e.preventDefault();
      this.#send();
    };
    $("messages").replaceChildren(el("p", { class: "empty", text: "Messages are seen by those who are in the room when they are sent." }));
    this.#targets();
    this.#possible();
  }

  #possible() {
    const hidden = !this.session.canChat;
    $("chat-toggle").hidden = $("tab-chat").hidden = hidden;
    if (hidden && this.panel.shows("chat")) this.panel.show("people");
  }

  #targets() {
    const chosen = $("chat-to").value;
    const others = this.room.present.filter((p) => p.uuid !== this.room.me() && p.supports_direct_chat === true);
    const key = others.map((p) => p.uuid + nameOf(p)).join();
    if (this.targets === key) return;
    this.targets = key;
    $("chat-to").replaceChildren(el("option", { value: "", text: "Everyone" }),
      ...others.map((p) => el("option", { value: p.uuid, text: `Only ${nameOf(p)}`, selected: p.uuid === chosen })));
  }

  async #send() {
    const text = $("chat-text").value.trim();
    if (!text) return;
    const to = $("chat-to").value || undefined;
    $("chat-text").value = "";
    const entry = this.room.said(text, to);
    const body = { type: "text/plain", payload: text };
    const { seat } = this.session;
    try {
      await this.session.ask("chat", () => (to ? seat.of(to, "message", body) : seat.post("message", body)));
    } catch (err) {
      entry.failed = true;
      entry.node?.classList.add("failed");
      if (!$("chat-text").value) $("chat-text").value = text;
      complain(err);
    }
  }

  #changed(entry) {
    if (!entry) return;
    $("messages").querySelector(".empty")?.remove();
    const at = entry.at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const direct = entry.to && el("em", { text: entry.own ? ` only to ${entry.toName}` : " only to you" });
    entry.node = el("div", { class: entry.own ? "message own" : "message" },
      el("p", { class: "by" }, el("b", { text: entry.name }), direct || "", ` · ${at}`),
      el("p", { class: "text", text: entry.text }));
    $("messages").append(entry.node);
    if (this.panel.shows("chat")) this.room.read();
    else if (!entry.own) toast(`${entry.name}: ${entry.text.length > 80 ? `${entry.text.slice(0, 79)}…` : entry.text}`);
    this.#down();
  }

  #down() { $("messages").scrollTop = $("messages").scrollHeight; }

  close() {
    for (const off of this.offs) off();
    $("chat-text").value = "";
  }
}
