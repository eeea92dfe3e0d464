// The part of the client API (docs/manual/client-api.md) that the page uses.

/** An answer that was no success; reason is fit to be shown. */
export class Refusal extends Error {
  constructor(status, reason, body) {
    super(reason);
    this.status = status;
    this.body = body;
  }
}

// What people read, by the reason that the server gives.
const words = {
  locked: "The room is locked.",
  full: "The room is full.",
  capacity: "The server has no capacity left. Please try again in a minute.",
  maintenance: "The server takes no new calls now.",
};

/**
 * A seat in one conference: a token that is kept fresh, and requests with it.
 * onlost(err) is called when the server has ended it, onsilent(seconds) again
 * and again while the server cannot be reached, and onback() when it can.
 */
export class Seat {
  constructor(alias, origin = "") {
    this.base = `${origin}/api/client/v2/conferences/${encodeURIComponent(alias)}/`;
  }

  /** Takes the seat. Another node may have the conference: it says so, and we go there. */
  async take(displayName) {
    let result;
    try {
      result = await this.post("request_token", { display_name: displayName });
    } catch (err) {
      if (err.status === 404) err.message = "There is no such room.";
      const node = err.body?.alternate;
      if (!node || this.moved) throw err;
      this.moved = true;
      this.base = new URL(new URL(this.base, location.href).pathname, node).href;
      result = await this.post("request_token", { display_name: displayName }).catch((err) => {
        if (err.status === 0) err.elsewhere = node; // its certificate is not trusted yet, most likely
        throw err;
      });
    }
    Object.assign(this, { token: result.token, id: result.participant_uuid, conference: result.conference_name });
    this.timer = setInterval(() => this.refresh(), (Number(result.expires) || 120) * 400);
    return result;
  }

  /** Gets a new token; says whether the server answered. */
  async refresh() {
    try {
      const result = await this.post("refresh_token");
      if (this.token) this.token = result.token ?? this.token;
    } catch (err) {
      if (err.status === 403 || err.status === 404) this.onlost?.(err);
      return err.status > 0;
    }
    return true;
  }

  /** Opens the event stream; handlers is a map from event name to function of its data. */
  listen(handlers) {
    this.events?.close();
    this.events = new EventSource(`${this.base}events?token=${encodeURIComponent(this.token)}`);
    for (const [name, handle] of Object.entries(handlers)) {
      this.events.addEventListener(name, (e) => handle(e.data ? JSON.parse(e.data) : undefined));
    }
    this.events.addEventListener("error", () => this.mend(handlers));
  }

  /** Asks until the server answers, and listens again. */
  async mend(handlers) {
    if (this.mending) return;
    this.mending = true;
    for (const since = Date.now(); this.token && !(await this.refresh());) {
      this.onsilent?.((Date.now() - since) / 1000);
      await new Promise((done) => setTimeout(done, 1000));
    }
    this.mending = false;
    if (!this.token) return;
    this.onback?.();
    setTimeout(() => this.token && this.events.readyState === EventSource.CLOSED && this.listen(handlers), 1000);
  }

  me(path, body) { return this.of(this.id, path, body); }

  of(participant, path, body) { return this.post(`participants/${participant}/${path}`, body); }

  async post(path, body) {
    const response = await fetch(this.base + path, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(this.token && { token: this.token }) },
      body: JSON.stringify(body ?? {}),
    }).catch(() => { throw new Refusal(0, "The server cannot be reached."); });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok || answer.status === "failed") {
      const said = typeof answer.result === "string" ? answer.result : undefined;
      throw new Refusal(response.status, words[answer.reason] ?? said ?? `The server answered ${response.status}.`, answer);
    }
    return answer.result;
  }

  leave() {
    clearInterval(this.timer);
    this.events?.close();
    if (!this.token) return;
    // keepalive lets the request outlive the page
    fetch(this.base + "release_token", { method: "POST", keepalive: true, headers: { token: this.token } }).catch(() => {});
    this.token = undefined;
  }
}
