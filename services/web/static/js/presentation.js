import { Emitter } from "./emitter.js";

/**
 * The presentation of a call: a video stream of its own, the third medium of the
 * connection, marked as slides (RFC 4796) in the way of the Pexip client API v2.
 * Who sends asks for the floor first; what comes is what the one who has it
 * sends. All that the page knows of how presentations travel is in here.
 *
 * Emits "change" when we begin or stop to share.
 */
export class Presentation extends Emitter {
  /** @param {import("./api.js").Seat} seat */
  constructor(seat) {
    super();
    this.seat = seat;
    /** What is received, for a video element. */
    this.stream = new MediaStream();
    /** @type {MediaStreamTrack|undefined} the screen that we share */
    this.screen = undefined;
    /** Offers again, when we begin or stop to send. @type {() => Promise<void>} */
    this.renegotiate = async () => {};
    /** @type {RTCRtpTransceiver|undefined} */
    this.transceiver = undefined;
  }

  static get possible() { return !!navigator.mediaDevices?.getDisplayMedia; }

  /** Adds the medium to a connection; also to the next one, when the first was lost. */
  attach(peer) {
    this.transceiver = peer.addTransceiver("video", { direction: this.screen ? "sendrecv" : "recvonly" });
    for (const old of this.stream.getTracks()) this.stream.removeTrack(old);
    this.stream.addTrack(this.transceiver.receiver.track);
    if (this.screen) this.transceiver.sender.replaceTrack(this.screen);
  }

  /** Whether the server has agreed to carry presentations. */
  get agreed() {
    return ["sendrecv", "sendonly", "recvonly"].includes(this.transceiver?.currentDirection);
  }

  /** Marks the third medium of an offer. @param {string} sdp */
  mark(sdp) {
    const mid = this.transceiver?.mid;
    return sdp.split(/(?=^m=)/m).map((part) => {
      const ours = part.startsWith("m=video") && part.includes(`\r\na=mid:${mid}\r\n`);
      return ours && !part.includes("a=content:") ? `${part.trimEnd()}\r\na=content:slides\r\n` : part;
    }).join("");
  }

  /** Asks which screen or window, then for the floor, and shares. */
  async share() {
    const wish = { video: { frameRate: { max: 30 } }, audio: false, selfBrowserSurface: "exclude", surfaceSwitching: "include" };
    const stream = await navigator.mediaDevices.getDisplayMedia(/** @type {any} */ (wish));
    const [screen] = stream.getVideoTracks();
    try {
      await this.seat.me("take_floor");
    } catch (err) {
      screen.stop();
      throw err;
    }
    screen.contentHint = "detail"; // letters are to be sharp, and need not move
    screen.addEventListener("ended", () => this.stop().catch(() => {}));
    this.screen = screen;
    this.emit("change");
    await this.transceiver.sender.replaceTrack(screen);
    this.transceiver.direction = "sendrecv";
    try {
      await this.renegotiate();
    } catch (err) {
      await this.stop().catch(() => {});
      throw err;
    }
  }

  /** Stops sharing and gives the floor back. */
  async stop() {
    if (!this.screen) return;
    this.#drop();
    await this.seat.me("release_floor");
    await this.renegotiate();
  }

  /** Somebody else has the floor now, or the call is over. */
  yield() { if (this.screen) this.#drop(); }

  #drop() {
    this.screen?.stop();
    this.screen = undefined;
    this.transceiver?.sender.replaceTrack(null).catch(() => {});
    if (this.transceiver) this.transceiver.direction = "recvonly"; // from the next offer on
    this.emit("change");
  }
}
