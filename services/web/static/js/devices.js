import { keep } from "./dom.js";
import { Emitter } from "./emitter.js";
import { problemOf } from "./words.js";

/** @typedef {"audio"|"video"} Kind */

const picture = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
const sound = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/**
 * Microphone, camera and speaker of this computer. A camera that is off is not
 * open: its light is dark. A microphone that is off stays open but sends
 * silence, so that it is there at once.
 *
 * Emits "tracks" (kind) when a track has changed, "change" for anything that
 * is worth drawing again, "unroutable" when a speaker cannot be used.
 */
export class Devices extends Emitter {
  constructor() {
    super();
    /** @type {{audio?: MediaStreamTrack, video?: MediaStreamTrack}} */
    this.tracks = {};
    this.off = { audio: false, video: false };
    /** @type {{audio?: string, video?: string}} why there is none */
    this.problem = {};
    this.wanted = { audio: keep.get("microphone"), video: keep.get("camera"), output: keep.get("speaker") };
    /** @type {{audio: MediaDeviceInfo[], video: MediaDeviceInfo[], output: MediaDeviceInfo[]}} */
    this.list = { audio: [], video: [], output: [] };
    this.asking = true;
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#changed());
  }

  /** Whether there is something to send of that kind, on or off. */
  has(kind) { return this.tracks[kind] !== undefined || (this.off[kind] && !this.problem[kind] && this.list[kind].length > 0); }

  sends(kind) { return this.tracks[kind] !== undefined && !this.off[kind]; }

  /** Opens what is wanted: both together, so that the browser asks once. */
  async open() {
    if (this.opening) return this.opening;
    this.opening = this.#open().finally(() => { this.opening = undefined; });
    return this.opening;
  }

  async #open() {
    this.asking = true;
    this.emit("change");
    const kinds = ["audio", "video"].filter((k) => !this.tracks[k] && !(k === "video" && this.off.video && this.list.video.length));
    if (!navigator.mediaDevices) {
      this.problem = { audio: "insecure", video: "insecure" };
    } else if (kinds.length) {
      await this.#both(kinds);
      await this.#enumerate();
    }
    this.asking = false;
    this.emit("change");
  }

  /** @param {Kind[]} kinds */
  async #both(kinds) {
    try {
      await this.#get(kinds);
      return;
    } catch (err) {
      if (kinds.length === 1 || problemOf(err) === "blocked" && !(await this.#oneAllowed())) {
        for (const kind of kinds) this.problem[kind] = problemOf(err);
        return;
      }
    }
    for (const kind of kinds) { // which of them is it?
      await this.#get([kind]).catch((err) => { this.problem[kind] = problemOf(err); });
    }
  }

  /** Asking again for what was just refused would be rude. */
  async #oneAllowed() {
    const states = await Promise.all(["microphone", "camera"].map((name) =>
      navigator.permissions?.query({ name: /** @type {any} */ (name) }).then((p) => p.state).catch(() => "prompt")));
    return states.includes("granted");
  }

  /** @param {Kind[]} kinds */
  async #get(kinds, exact = false) {
    const pick = (kind) => {
      const id = this.wanted[kind];
      return { ...(kind === "video" ? picture : sound), ...(id && { deviceId: exact ? { exact: id } : { ideal: id } }) };
    };
    const stream = await navigator.mediaDevices.getUserMedia(Object.fromEntries(kinds.map((k) => [k, pick(k)])));
    for (const track of stream.getTracks()) this.#take(track);
  }

  /** @param {MediaStreamTrack} track */
  #take(track) {
    const kind = /** @type {Kind} */ (track.kind);
    this.tracks[kind]?.stop();
    this.tracks[kind] = track;
    delete this.problem[kind];
    if (kind === "video" && this.off.video) return this.#close("video"); // it was switched off meanwhile
    if (kind === "audio") track.enabled = !this.off.audio;
    track.addEventListener("ended", () => { // unplugged, or its permission was taken away
      if (this.tracks[kind] !== track) return;
      this.#close(kind);
      this.open();
    });
    this.emit("tracks", kind);
  }

  /** @param {Kind} kind */
  #close(kind) {
    this.tracks[kind]?.stop();
    this.tracks[kind] = undefined;
    this.emit("tracks", kind);
  }

  /** Uses another device from now on. */
  async select(kind, deviceId) {
    this.wanted[kind] = deviceId || undefined;
    keep.set({ audio: "microphone", video: "camera", output: "speaker" }[kind], deviceId);
    if (kind !== "output" && !(kind === "video" && this.off.video)) {
      if (kind === "video") this.tracks.video?.stop(); // many cameras cannot be opened twice
      await this.#get([kind], true).catch((err) => {
        this.problem[kind] = problemOf(err);
        this.#close(kind);
      });
    }
    this.emit("change");
  }

  /** Switches a device off or on. @param {Kind} kind @param {boolean} off */
  async setOff(kind, off) {
    this.off[kind] = off;
    if (kind === "video" && off) this.#close("video");
    else if (kind === "audio" && this.tracks.audio) this.tracks.audio.enabled = !off;
    else if (!off) await this.open();
    this.emit("change");
  }

  /** Closes all: nobody is in a call any more. */
  close() {
    for (const kind of /** @type {Kind[]} */ (["audio", "video"])) this.#close(kind);
    this.emit("change");
  }

  async #changed() {
    const before = { audio: this.list.audio.length, video: this.list.video.length };
    await this.#enumerate();
    const plugged = ["audio", "video"].some((k) => this.problem[k] === "none" && this.list[k].length > before[k]);
    if (plugged) await this.open();
    this.emit("change");
  }

  async #enumerate() {
    const all = await navigator.mediaDevices.enumerateDevices().catch(() => []);
    const of = (kind) => all.filter((d) => d.kind === kind && d.deviceId);
    this.list = { audio: of("audioinput"), video: of("videoinput"), output: canRoute ? of("audiooutput") : [] };
  }

  /** The id of what is used now. */
  current(kind) {
    return (kind === "output" ? this.wanted.output : this.tracks[kind]?.getSettings().deviceId) ?? this.wanted[kind];
  }

  /**
   * Lets an element play by the speaker that is wanted. If that cannot be used,
   * the element goes on with what it has, which then is what is wanted.
   */
  async route(media) {
    const { output = "" } = this.wanted;
    if (!canRoute || media.sinkId === output) return;
    try {
      await media.setSinkId(output);
    } catch {
      if ((this.wanted.output ?? "") !== output) return; // another one was chosen meanwhile
      this.wanted.output = media.sinkId || undefined;
      keep.set("speaker", media.sinkId);
      this.emit("change");
      this.emit("unroutable");
    }
  }
}

const canRoute = "setSinkId" in HTMLMediaElement.prototype;

/**
 * Calls tell(level), 0 to 1, for every picture of the screen, until the function
 * that it returns is called.
 * @param {MediaStreamTrack} track
 * @param {(level: number) => void} tell
 */
export function meter(track, tell) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  (function measure() {
    if (context.state === "closed") return;
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, s) => sum + s * s, 0) / samples.length;
    // 60 dB make the scale: speech at an arm's length is in its upper half
    tell(Math.max(0, Math.min(1, 1 + Math.log10(power + 1e-9) / 6)));
    requestAnimationFrame(measure);
  })();
  return () => { if (context.state !== "closed") context.close(); };
}

/** Plays a short chord by the speaker that is wanted. */
export async function testSpeaker(devices) {
  const context = new AudioContext();
  const out = context.createMediaStreamDestination();
  const player = new Audio();
  player.srcObject = out.stream;
  await devices.route(player);
  const volume = context.createGain();
  volume.connect(out);
  volume.gain.setValueAtTime(0.15, context.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.001, context.currentTime + 1);
  for (const hz of [523, 659, 784]) {
    const tone = context.createOscillator();
    tone.frequency.value = hz;
    tone.connect(volume);
    tone.start();
    tone.stop(context.currentTime + 1);
  }
  await player.play().catch(() => {});
  setTimeout(() => { player.srcObject = null; context.close(); }, 1300);
}
