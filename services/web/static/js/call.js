import { Emitter } from "./emitter.js";
import { sample, Watchdog } from "./quality.js";

/**
 * The media of a seat: one connection to the server.
 *
 * Emits "up" when media can flow, "trouble" when it seems not to, and "quality"
 * (a Sample) once a second.
 */
export class Call extends Emitter {
  /**
   * @param {import("./api.js").Seat} seat
   * @param {import("./devices.js").Devices} devices
   * @param {import("./presentation.js").Presentation} presentation
   * @param {string} [codec] of video, to be preferred
   */
  constructor(seat, devices, presentation, codec) {
    super();
    Object.assign(this, { seat, devices, presentation });
    /** What is received, for a video element. */
    this.far = new MediaStream();
    this.peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.watchdog = new Watchdog();
    const { audio, video } = devices.tracks;
    this.senders = {
      audio: this.peer.addTransceiver(audio ?? "audio", { direction: this.#direction("audio") }),
      video: this.peer.addTransceiver(video ?? "video", { direction: this.#direction("video"), sendEncodings: encodings(video) }),
    };
    preferCodec(this.senders.video, codec);
    presentation.attach(this.peer);
    for (const t of Object.values(this.senders)) this.far.addTrack(t.receiver.track);
    this.off = devices.on("tracks", (kind) => this.#replace(kind));
    this.peer.addEventListener("connectionstatechange", () => this.#state());
    this.peer.addEventListener("icecandidate", (e) => this.#candidate(e.candidate));
  }

  #direction(kind) { return this.devices.has(kind) ? "sendrecv" : "recvonly"; }

  /** Places the call. */
  async start() {
    await this.peer.setLocalDescription();
    const answer = await this.seat.me("calls", { call_type: "WEBRTC", sdp: this.#offer() });
    this.id = answer.call_uuid;
    await this.peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    await this.seat.me(`calls/${this.id}/ack`, {});
    this.early?.forEach((c) => this.#candidate(c));
    this.timer = setInterval(() => this.#measure(), 1000);
  }

  #offer() { return this.presentation.mark(this.peer.localDescription.sdp); }

  #candidate(c) {
    if (!c?.candidate) return;
    if (!this.id) {
      this.early = [...(this.early ?? []), c];
      return;
    }
    this.seat.me(`calls/${this.id}/new_candidate`, { candidate: c.candidate, mid: c.sdpMid, ufrag: c.usernameFragment }).catch(() => {});
  }

  get up() { return this.peer.connectionState === "connected"; }

  #state() {
    const state = this.peer.connectionState;
    if (state === "connected") this.emit("up");
    if (state === "disconnected" || state === "failed") this.emit("trouble");
  }

  async #measure() {
    if (this.measuring || this.peer.connectionState === "closed") return;
    this.measuring = true;
    const report = await this.peer.getStats().catch(() => undefined);
    this.measuring = false;
    if (!report) return;
    const names = { [this.senders.audio.mid]: "audio", [this.senders.video.mid]: "video", [this.presentation.transceiver?.mid]: "slides" };
    this.last = sample(report.values(), this.last, (mid, kind) => names[mid] ?? kind);
    this.emit("quality", this.last);
    if (this.watchdog.stalled(this.last)) this.emit("trouble");
  }

  /** Whether packets come in within a moment. */
  async flows(patience = 900) {
    const heard = async () => sample((await this.peer.getStats()).values()).heard;
    const before = await heard();
    for (const end = Date.now() + patience; Date.now() < end;) {
      await new Promise((done) => setTimeout(done, 100));
      if (this.up && (await heard()) > before) return true;
    }
    return false;
  }

  /** Offers again: for a new network path, or for media that were not there before. */
  async update({ restart = false, timeout = 4000 } = {}) {
    if (this.peer.signalingState !== "stable") await this.peer.setLocalDescription({ type: "rollback" });
    await this.peer.setLocalDescription(await this.peer.createOffer({ iceRestart: restart }));
    const answer = await this.seat.me(`calls/${this.id}/update`, { sdp: this.#offer() }, { timeout });
    await this.peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    this.watchdog.reset();
  }

  /** Sends another device, or nothing, from now on. */
  async #replace(kind) {
    const transceiver = this.senders[kind];
    const track = this.devices.tracks[kind] ?? null;
    await transceiver.sender.replaceTrack(track).catch(() => {});
    if (!track || transceiver.direction === "sendrecv") return;
    transceiver.direction = "sendrecv";
    await this.update().catch(() => this.emit("trouble"));
  }

  /** Presses keys, as on a phone. */
  press(digits) { return this.seat.me(`calls/${this.id}/dtmf`, { digits }); }

  close() {
    this.off();
    clearInterval(this.timer);
    this.peer.close();
  }
}

/**
 * A large picture is sent in three sizes, of which the server decodes the one
 * that it shows. The small ones cost a third of the large one more, which is too
 * much for a small computer.
 */
function encodings(track) {
  const { width = 0, height = 0 } = track?.getSettings() ?? {};
  if (Math.min(width, height) < 720 || (navigator.hardwareConcurrency ?? 0) < 4) return [{}];
  return [{ rid: "q", scaleResolutionDownBy: 4 }, { rid: "h", scaleResolutionDownBy: 2 }, { rid: "f" }];
}

function preferCodec(transceiver, name) {
  if (!name) return;
  const { codecs } = RTCRtpSender.getCapabilities("video");
  const first = codecs.filter((c) => c.mimeType.toLowerCase() === `video/${name}`.toLowerCase());
  if (first.length) transceiver.setCodecPreferences([...first, ...codecs.filter((c) => !first.includes(c))]);
}
