// What the browser counts about a call, as numbers that people can use. Pure.

/**
 * @typedef {{kbps: number, loss?: number, jitter?: number, width?: number, height?: number, fps?: number, codec?: string}} Flow
 * loss in percent, jitter in ms
 * @typedef {{
 *   at: number, counts: Record<string, any>, heard: number, flowing: boolean,
 *   in: Record<string, Flow>, out: Record<string, Flow>, rtt?: number, grade: Grade,
 * }} Sample
 * @typedef {"good"|"fair"|"poor"|"unknown"} Grade
 */

/**
 * Compares what was counted with the sample before.
 * @param {Iterable<any>} stats the values of an RTCStatsReport
 * @param {Sample} [before]
 * @param {(mid: string, kind: string) => string} [name] what a stream is called: audio, video, slides
 * @returns {Sample}
 */
export function sample(stats, before, name = (_mid, kind) => kind) {
  const all = [...stats];
  const byId = new Map(all.map((s) => [s.id, s]));
  const codec = (s) => byId.get(s.codecId)?.mimeType?.split("/")[1];
  const at = all.find((s) => s.timestamp)?.timestamp ?? 0;
  /** @type {Sample} */
  const now = { at, counts: {}, heard: 0, flowing: false, in: {}, out: {}, grade: "unknown" };

  for (const s of all) {
    now.counts[s.id] = s;
    const old = before?.counts[s.id];
    const seconds = old ? (s.timestamp - old.timestamp) / 1000 : 0;
    const since = (field) => Math.max(0, (s[field] ?? 0) - (old?.[field] ?? 0));
    const rate = (field) => (seconds > 0 ? (since(field) * 8) / seconds / 1000 : 0);
    if (s.type === "inbound-rtp") {
      now.heard += s.packetsReceived ?? 0;
      now.flowing ||= seconds > 0 && since("packetsReceived") > 5 * seconds;
      const got = since("packetsReceived"), lost = since("packetsLost");
      now.in[name(s.mid, s.kind)] = tidy({
        kbps: Math.round(rate("bytesReceived")),
        loss: old && got + lost > 0 ? (100 * lost) / (got + lost) : undefined,
        jitter: s.jitter === undefined ? undefined : s.jitter * 1000,
        width: s.frameWidth, height: s.frameHeight, fps: s.framesPerSecond, codec: codec(s),
      });
    } else if (s.type === "outbound-rtp") {
      const key = name(s.mid, s.kind);
      const sum = now.out[key] ?? { kbps: 0 };
      const report = byId.get(s.remoteId);
      const larger = (s.frameHeight ?? 0) >= (sum.height ?? 0); // of a picture that is sent in several sizes
      now.out[key] = tidy({
        kbps: sum.kbps + Math.round(rate("bytesSent")),
        loss: Math.max(sum.loss ?? 0, 100 * (report?.fractionLost ?? 0)),
        jitter: report?.jitter === undefined ? sum.jitter : report.jitter * 1000,
        width: larger ? s.frameWidth : sum.width, height: larger ? s.frameHeight : sum.height,
        fps: larger ? s.framesPerSecond : sum.fps, codec: codec(s) ?? sum.codec,
      });
    } else if (s.type === "candidate-pair" && s.nominated && s.state === "succeeded") {
      now.heard += s.responsesReceived ?? 0;
      if (s.currentRoundTripTime !== undefined) now.rtt = s.currentRoundTripTime * 1000;
    }
  }
  now.grade = grade(now);
  return now;
}

/** Leaves out what is not known. */
function tidy(flow) {
  return Object.fromEntries(Object.entries(flow).filter(([, v]) => v !== undefined));
}

/**
 * Sound suffers from 3 % of loss on, and conversations from 300 ms there and back.
 * @param {Pick<Sample, "in"|"out"|"rtt">} s
 * @returns {Grade}
 */
export function grade(s) {
  const flows = [...Object.values(s.in), ...Object.values(s.out)];
  if (!flows.length || s.rtt === undefined) return "unknown";
  const loss = Math.max(0, ...flows.map((f) => f.loss ?? 0));
  const jitter = Math.max(0, ...flows.map((f) => f.jitter ?? 0));
  if (loss > 8 || s.rtt > 500 || jitter > 150) return "poor";
  if (loss > 3 || s.rtt > 300 || jitter > 60) return "fair";
  return "good";
}

/**
 * Says when a call has gone silent. The peer sends sound all the time, or next to
 * nothing while it waits; so silence is short where there was sound before, and
 * long elsewhere: browsers look every few seconds whether the peer is there.
 */
export class Watchdog {
  constructor() { this.reset(); }

  reset() { this.heard = -1; this.since = 0; this.flowed = false; }

  /** @param {Sample} s @returns {boolean} */
  stalled(s) {
    if (s.heard !== this.heard) {
      this.heard = s.heard;
      this.since = s.at;
      this.flowed = s.flowing;
      return false;
    }
    return s.at - this.since >= (this.flowed ? 1500 : 7000);
  }
}
