import { Seat } from "./api.js";
import { Call } from "./call.js";
import { Emitter } from "./emitter.js";
import { Presentation } from "./presentation.js";
import { isWaiting, Room, yes } from "./room.js";
import { ending } from "./words.js";

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** How long we look for a server that has gone. */
const hope = 90_000;

/**
 * One stay in a room, from the token to the end. It holds seat, room and call,
 * and brings them back after an interruption.
 *
 * Emits "state" when state has changed: new, waiting, connecting, connected,
 * reconnecting, ended; "call" when there is another connection; "quality".
 */
export class Session extends Emitter {
  /**
   * @param {{alias: string, name: string, devices: import("./devices.js").Devices, codec?: string}} options
   */
  constructor({ alias, name, devices, codec }) {
    super();
    Object.assign(this, { alias, name, devices, codec });
    this.state = "new";
    /** @type {string|undefined} why it ended, for people */
    this.why = undefined;
    this.seat = new Seat(alias);
    this.room = new Room(() => this.seat.id);
    this.presentation = new Presentation(this.seat);
    this.presentation.renegotiate = async () => { await this.call?.update(); };
    /** What a host had muted when the server gave our seat away, as requests. @type {string[]} */
    this.silenced = [];
    /** What the server has said that it does not have: chat, dial, presentation. */
    this.lacks = new Set();
    this.room.on("people", () => this.#admitted());
    this.room.on("presentation", () => {
      if (this.room.presenter?.id !== this.seat.id) this.presentation.yield();
    });
    const online = () => this.recover(true);
    const link = /** @type {any} */ (navigator).connection;
    let type = link?.type;
    const change = () => { // also when the browser only thinks better or worse of the same network
      if (link.type !== type) this.recover(true);
      type = link.type;
    };
    addEventListener("online", online);
    link?.addEventListener("change", change);
    this.unlisten = () => {
      removeEventListener("online", online);
      link?.removeEventListener("change", change);
    };
  }

  #become(state, why) {
    if (this.state === state || this.state === "ended") return;
    this.state = state;
    this.why = why;
    this.emit("state", state);
  }

  get host() { return this.room.self ? this.room.self.role === "chair" : this.seat.role === "HOST"; }

  /** Takes the seat and begins. Throws a Refusal, which may ask for a PIN. */
  async join(pin) {
    this.pin = pin;
    await this.#sit();
    await this.#begin();
  }

  async #sit() {
    const token = await this.seat.take(this.name, this.pin);
    this.chat = token.chat_enabled === true;
    this.guestsPresent = token.guests_can_present === true;
    this.waits = token.current_service_type === "waiting_room";
    this.seat.onlost = () => this.#lost();
    this.seat.onsilent = () => this.recover();
    this.seat.listen({
      ...this.room.handlers(),
      refresh_token: () => this.seat.refresh(),
      disconnect: (d) => this.end(ending(d?.reason)),
    });
  }

  async #begin() {
    if (this.waits) {
      this.#become("waiting");
      return;
    }
    if (this.state !== "reconnecting") this.#become("connecting");
    try {
      await this.#place();
    } catch (err) {
      this.end(err.message);
      throw err;
    }
  }

  /** A host has let us in. */
  #admitted() {
    const self = this.room.self;
    if (!this.waits || !self || isWaiting(self)) return;
    this.waits = false;
    this.seat.refresh();
    this.#begin().catch(() => {});
  }

  async #place() {
    while (this.silenced.length) { // before anybody hears or sees us
      await this.seat.me(this.silenced[0]);
      this.silenced.shift();
    }
    this.call?.close();
    const call = new Call(this.seat, this.devices, this.presentation, this.codec);
    this.call = call;
    this.emit("call", call);
    call.on("up", () => { if (this.call === call && !this.recovering) this.#become("connected"); });
    call.on("trouble", () => { if (this.call === call) this.recover(); });
    call.on("quality", (q) => this.emit("quality", q));
    await call.start();
    for (const kind of ["audio", "video"]) if (this.devices.off[kind]) this.tell(kind).catch(() => {});
  }

  /** Tells the others what we have switched off ourselves. */
  tell(kind) {
    const off = this.devices.off[kind];
    return kind === "audio" ? this.seat.me("client_mute", { state: off }) : this.seat.me(off ? "video_muted" : "video_unmuted");
  }

  /** Switches microphone or camera, and undoes what a host has muted. */
  async toggle(kind) {
    const byHost = kind === "audio" && yes(this.room.self?.is_muted);
    if (byHost) {
      await this.seat.me("unmute").catch((err) => {
        if (err.reason === "role") err.message = "A host has muted you, and only a host can unmute you.";
        throw err;
      });
    }
    await this.devices.setOff(kind, byHost ? false : !this.devices.off[kind]);
    await this.tell(kind);
  }

  /**
   * Brings everything back that does not work: events, the network path, the
   * connection, and at last the seat. Does nothing if all is well.
   * @param {boolean} [moved] the network is another one: our addresses are wrong
   */
  async recover(moved = false) {
    if (moved) this.moved = true;
    if (this.recovering || ["new", "ended"].includes(this.state)) return;
    this.recovering = true;
    // A moment that nobody notices needs no notice.
    const notice = setTimeout(() => this.#become(this.waits ? "waiting" : "reconnecting"), 400);
    try {
      for (const since = Date.now(); this.state !== "ended"; await pause(300)) {
        if (await this.#attempt().catch(() => false)) break;
        if (Date.now() - since > hope) this.end("The connection was lost, and the server could not be reached again.");
      }
    } finally {
      clearTimeout(notice);
      this.recovering = false;
    }
    if (this.call?.up) this.#become("connected");
  }

  /** @returns {Promise<boolean>} whether all is well */
  async #attempt() {
    if (this.gone) { // the server gave our seat away: take another one
      await this.#sit().catch((err) => {
        if ([403, 404].includes(err.status)) this.end(err.message);
        throw err;
      });
      this.gone = false;
      this.call?.close();
      this.call = undefined;
      if (this.waits) this.#become("waiting");
    }
    const found = await this.seat.probe(1500);
    if (found === "lost") this.#unseat();
    if (found !== "kept") return false;
    if (!this.seat.listening) this.seat.listen();
    if (this.waits) return true;
    if (!this.call) await this.#place();
    else if (this.moved || !(await this.call.flows())) await this.#restart();
    this.moved = false;
    return this.call.flows(3000);
  }

  async #restart() {
    try {
      await this.call.update({ restart: true, timeout: 2500 });
    } catch (err) {
      if (err.status === 0) throw err;
      await this.#place(); // the server has given that connection up
    }
  }

  #lost() {
    if (this.recovering) return;
    this.#unseat();
    this.recover();
  }

  /** The server gave our seat away. In the next one we are a newcomer to it, but not to the host who has muted us. */
  #unseat() {
    this.gone = true;
    const self = this.room.self;
    const silenced = new Set(this.silenced); // what the next server has not been asked for yet still holds
    if (yes(self?.is_muted)) silenced.add("mute");
    if (self?.is_video_muted) silenced.add("video_muted");
    this.silenced = [...silenced];
    this.seat.leave();
  }

  /** Asks the server for something that it may not have. */
  async ask(what, request) {
    try {
      return await request();
    } catch (err) {
      if (err.unsupported) {
        this.lacks.add(what);
        this.room.emit("status");
      }
      throw err;
    }
  }

  /** Whether screens can be shared in this room, from this browser, by us. */
  get canShare() {
    return Presentation.possible && this.room.status.presentation_allowed === true && this.presentation.agreed
      && !this.lacks.has("presentation") && (this.host || this.room.status.guests_can_present !== false);
  }

  get canChat() { return this.chat && !this.lacks.has("chat"); }

  /** Ends the meeting for everybody, ourselves included. */
  async endAll() {
    this.farewell = "You have ended the meeting for all.";
    try {
      await this.seat.post("disconnect");
      this.end();
    } catch (err) {
      this.farewell = undefined;
      throw err;
    }
  }

  /** Leaves, or notes that it is over. @param {string} [why] */
  end(why) {
    if (this.state === "ended") return;
    this.unlisten();
    this.presentation.yield();
    this.call?.close();
    this.seat.leave();
    this.#become("ended", this.farewell ?? why); // the server tells us what we did
  }
}
