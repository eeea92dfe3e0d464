import { Emitter } from "./emitter.js";

/** Some booleans of this API are spelled out. */
export const yes = (v) => v === true || v === "YES";

/** @param {any} p a participant */
export const nameOf = (p) => p?.display_name || p?.uri || "Guest";

export const isMuted = (p) => yes(p.is_muted) || yes(p.is_client_muted);

export const isWaiting = (p) => p.service_type === "waiting_room";

/**
 * What the server says of a room, and what was said in its chat.
 *
 * Emits "people", "status", "stage", "layout", "chat", "presentation" when that
 * has changed; "here" ({joined, left}: names) for those who come and go.
 */
export class Room extends Emitter {
  /** @param {() => string|undefined} me the id of our own seat */
  constructor(me) {
    super();
    this.me = me;
    /** @type {Map<string, any>} participants by uuid */
    this.people = new Map();
    this.status = {};
    this.view = undefined;
    /** @type {Set<string>} who speaks now */
    this.speaking = new Set();
    /** @type {string[]} who spoke, most recent first */
    this.stage = [];
    /** @type {{from: string, name: string, text: string, to?: string, toName?: string, at: Date, own: boolean, failed?: boolean}[]} */
    this.chat = [];
    this.unread = 0;
    /** @type {{name: string, id: string}|undefined} */
    this.presenter = undefined;
  }

  get self() { return this.people.get(this.me()); }

  /** Those in the room, in the order of the list: ourselves, raised hands, then names. */
  get present() {
    const rank = (p) => (p.uuid === this.me() ? 0 : p.buzz_time > 0 ? 1 : 2);
    return [...this.people.values()].filter((p) => !isWaiting(p)).sort((a, b) =>
      rank(a) - rank(b) || (rank(a) === 1 ? a.buzz_time - b.buzz_time : 0) || nameOf(a).localeCompare(nameOf(b)));
  }

  get waiting() { return [...this.people.values()].filter(isWaiting); }

  /** What to do with the events of the server. */
  handlers() {
    let fresh; // the list that is being told from the beginning
    return {
      participant_sync_begin: () => { fresh = new Map(); },
      participant_sync_end: () => {
        const was = this.people;
        this.people = fresh ?? new Map();
        fresh = undefined;
        if (was.size) this.#compare(was);
        this.emit("people");
      },
      participant_create: (p) => {
        if (fresh) return fresh.set(p.uuid, p);
        const was = new Map(this.people);
        this.people.set(p.uuid, p);
        this.#compare(was);
        this.emit("people");
      },
      participant_update: (p) => {
        if (fresh) return fresh.set(p.uuid, p);
        const was = new Map(this.people);
        this.people.set(p.uuid, p);
        if (isWaiting(was.get(p.uuid) ?? {}) !== isWaiting(p)) this.#compare(was);
        this.emit("people");
      },
      participant_delete: (p) => {
        const was = new Map(this.people);
        this.people.delete(p.uuid);
        this.#compare(was);
        this.emit("people");
      },
      stage: (stage) => {
        this.stage = stage.map((s) => s.participant_uuid);
        this.speaking = new Set(stage.filter((s) => s.vad > 0).map((s) => s.participant_uuid));
        this.emit("stage");
      },
      conference_update: (c) => { this.status = c; this.emit("status"); },
      layout: (l) => { this.view = l.view; this.emit("layout"); },
      presentation_start: (p) => {
        this.presenter = { name: p?.presenter_name || p?.presenter_uri || "Somebody", id: p?.presenter_uuid };
        this.emit("presentation");
      },
      presentation_stop: () => { this.presenter = undefined; this.emit("presentation"); },
      message_received: (m) => this.#received(m),
    };
  }

  #compare(was) {
    const inside = (people) => [...people.values()].filter((p) => !isWaiting(p) && p.uuid !== this.me());
    const now = inside(this.people), then = inside(was);
    const names = (list, without) => list.filter((p) => !without.some((o) => o.uuid === p.uuid)).map(nameOf);
    const change = { joined: names(now, then), left: names(then, now), waits: this.waiting.filter((p) => !was.has(p.uuid)).map(nameOf) };
    if (change.joined.length || change.left.length || change.waits.length) this.emit("here", change);
  }

  #received(m) {
    if (m?.type !== "text/plain" || m.uuid === this.me()) return; // ours are in the list already
    this.unread++;
    this.chat.push({
      from: m.uuid, name: m.origin || nameOf(this.people.get(m.uuid)), text: String(m.payload ?? ""),
      to: m.direct ? this.me() : undefined, at: new Date(), own: false,
    });
    this.emit("chat", this.chat.at(-1));
  }

  /** Notes what we have said; the server does not tell us our own words. */
  said(text, to) {
    const entry = { from: this.me(), name: "You", text, to, toName: to && nameOf(this.people.get(to)), at: new Date(), own: true, failed: false };
    this.chat.push(entry);
    this.emit("chat", entry);
    return entry;
  }

  read() {
    if (!this.unread) return;
    this.unread = 0;
    this.emit("chat");
  }
}
