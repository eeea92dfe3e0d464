// The part of the client API (docs/manual/client-api.md) that the page uses.
import { refusal } from "./words.js";

/** An answer that was no success; the message is fit to be shown. */
export class Refusal extends Error {
  constructor(status, body) {
    super(refusal(status, body));
    /** of HTTP; 0: no answer at all */
    this.status = status;
    /** @type {{reason?: string, result?: any, alternate?: string}} */
    this.body = body ?? {};
    this.reason = this.body.reason;
  }

  /** The server does not have this function. */
  get unsupported() { return this.reason === "unsupported"; }

  get wrongPIN() { return this.status === 403 && (this.reason === "pin" || /PIN/.test(String(this.body.result))) && this.reason !== "blocked"; }

  /** Whether hosts and guests need PINs, if that is what is missing. */
  get pin() {
    const r = this.body.result;
    return r && typeof r === "object" && (r.pin === "required" || r.guest_pin === "required") ? r : undefined;
  }
}

// How long an answer may take. The server looks for the owner of a room for up
// to ten seconds when a node was lost.
const patience = 15_000;

/**
 * A seat in one conference: a token that is kept fresh, and requests with it.
 * onlost(err) is called when the server has given it away, onsilent() when the
 * server cannot be reached or the event stream has broken.
 */
export class Seat {
  constructor(alias, origin = "") {
    this.base = `${origin}/api/client/v2/conferences/${encodeURIComponent(alias)}/`;
    this.onlost = undefined;
    this.onsilent = undefined;
  }

  /**
   * Takes the seat. Another node may have the conference: it says so, and we go
   * there.
   * @param {string} displayName
   * @param {string} [pin] "none" for a guest who needs no PIN
   */
  async take(displayName, pin) {
    const ask = () => this.post("request_token", { display_name: displayName, supports_direct_chat: true }, { pin });
    let result;
    try {
      result = await ask();
    } catch (err) {
      if (err.status === 404) err.message = "There is no such room. Check the name or the link.";
      const node = err.body?.alternate;
      if (!node || this.moved) throw err;
      this.moved = true;
      this.base = new URL(new URL(this.base, location.href).pathname, node).href;
      result = await ask().catch((err) => {
        if (err.status === 0) err.elsewhere = node; // its certificate is not trusted yet, most likely
        throw err;
      });
    }
    Object.assign(this, { token: result.token, id: result.participant_uuid, conference: result.conference_name, role: result.role });
    this.timer = setInterval(() => this.refresh(), (Number(result.expires) || 120) * 400);
    return result;
  }

  /**
   * Gets a new token.
   * @returns {Promise<"kept"|"lost"|"silent">}
   */
  async refresh(timeout = 5000) {
    try {
      const result = await this.post("refresh_token", {}, { timeout });
      if (this.token) this.token = result.token ?? this.token;
      if (result.role) this.role = result.role;
      return "kept";
    } catch (err) {
      if (err.status === 403 || err.status === 404) {
        this.onlost?.(err);
        return "lost";
      }
      this.onsilent?.();
      return "silent";
    }
  }

  /**
   * Asks whether the server is there and the seat is ours. It changes nothing: a
   * request that the server gets late, when nobody waits for it any more, would
   * make a token of ours invalid if it were a refresh.
   * @returns {Promise<"kept"|"lost"|"silent">}
   */
  async probe(timeout) {
    try {
      await this.request("GET", "conference_status", undefined, { timeout });
      return "kept";
    } catch (err) {
      return err.reason === "token" || err.status === 404 ? "lost" : "silent";
    }
  }

  /** Opens the event stream, again if there is one; handlers is a map from event name to function of its data. */
  listen(handlers = this.handlers) {
    this.handlers = handlers;
    this.events?.close();
    if (!this.token) return;
    const events = new EventSource(`${this.base}events?token=${encodeURIComponent(this.token)}`);
    this.events = events;
    for (const [name, handle] of Object.entries(handlers)) {
      events.addEventListener(name, (e) => handle(e.data ? JSON.parse(e.data) : undefined));
    }
    events.addEventListener("error", () => {
      if (this.events !== events) return;
      events.close(); // the browser would wait for seconds before it tries again, with a token of now
      this.events = undefined;
      this.onsilent?.();
    });
  }

  get listening() { return this.events !== undefined; }

  me(path, body, options) { return this.of(this.id, path, body, options); }

  of(participant, path, body, options) { return this.post(`participants/${participant}/${path}`, body, options); }

  get(path) { return this.request("GET", path); }

  post(path, body = {}, options = {}) { return this.request("POST", path, body, options); }

  async request(method, path, body, { pin, timeout = patience } = {}) {
    const response = await fetch(this.base + path, {
      method,
      headers: {
        ...(body && { "Content-Type": "application/json" }),
        ...(this.token && { token: this.token }),
        ...(pin !== undefined && { pin }),
      },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(timeout),
    }).catch(() => { throw new Refusal(0); });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok || answer.status === "failed") throw new Refusal(response.status, answer);
    return answer.result;
  }

  leave() {
    clearInterval(this.timer);
    this.events?.close();
    this.events = undefined;
    if (!this.token) return;
    // keepalive lets the request outlive the page
    fetch(this.base + "release_token", { method: "POST", keepalive: true, headers: { token: this.token } }).catch(() => {});
    this.token = undefined;
  }
}
