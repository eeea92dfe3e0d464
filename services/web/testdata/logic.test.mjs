// What the modules of the page calculate, without a page.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

// The modules are plain scripts in the eyes of node, which looks for a package.
const load = (name) => import(`data:text/javascript,${encodeURIComponent(readFileSync(new URL(`../static/js/${name}.js`, import.meta.url), "utf8"))}`);
const { sample, grade, Watchdog } = await load("quality");
const { refusal, ending, deviceProblem, deviceProblems, problemOf, layoutName } = await load("words");

const at = (seconds, received, lost, rtt = 0.02) => [
  { id: "in", type: "inbound-rtp", kind: "audio", mid: "0", timestamp: 1000 * seconds, packetsReceived: received, packetsLost: lost, bytesReceived: 100 * received, jitter: 0.01, codecId: "c" },
  { id: "c", type: "codec", mimeType: "audio/opus" },
  { id: "q", type: "outbound-rtp", kind: "video", mid: "1", timestamp: 1000 * seconds, bytesSent: 1000 * seconds, frameHeight: 180, frameWidth: 320, framesPerSecond: 30, remoteId: "r" },
  { id: "f", type: "outbound-rtp", kind: "video", mid: "1", timestamp: 1000 * seconds, bytesSent: 5000 * seconds, frameHeight: 720, frameWidth: 1280, framesPerSecond: 25, remoteId: "r" },
  { id: "r", type: "remote-inbound-rtp", fractionLost: 0.05, jitter: 0.02 },
  { id: "p", type: "candidate-pair", nominated: true, state: "succeeded", currentRoundTripTime: rtt, responsesReceived: 3 },
];

test("a sample compares with the one before", () => {
  const first = sample(at(1, 50, 0));
  assert.equal(first.in.audio.loss, undefined);
  const s = sample(at(2, 95, 5), first);
  assert.deepEqual(s.in.audio, { kbps: 36, loss: 10, jitter: 10, codec: "opus" });
  assert.equal(s.out.video.kbps, 48); // both sizes of the picture
  assert.equal(s.out.video.height, 720);
  assert.equal(s.out.video.fps, 25);
  assert.equal(s.out.video.loss, 5);
  assert.equal(s.rtt, 20);
  assert.equal(s.grade, "poor");
});

test("streams have the names that they are given", () => {
  const s = sample(at(1, 50, 0), undefined, (mid) => ({ 0: "audio", 1: "slides" })[mid]);
  assert.deepEqual(Object.keys(s.out), ["slides"]);
});

test("grades", () => {
  const flow = (loss, jitter = 5) => ({ in: { audio: { kbps: 30, loss, jitter } }, out: {}, rtt: 50 });
  assert.equal(grade(flow(0)), "good");
  assert.equal(grade(flow(4)), "fair");
  assert.equal(grade(flow(9)), "poor");
  assert.equal(grade(flow(0, 100)), "fair");
  assert.equal(grade({ ...flow(0), rtt: 600 }), "poor");
  assert.equal(grade({ ...flow(0), rtt: undefined }), "unknown");
});

test("a call that goes silent is noticed soon after sound, and late elsewhere", () => {
  const s = (seconds, heard, flowing) => ({ at: 1000 * seconds, heard, flowing });
  const dog = new Watchdog();
  assert.equal(dog.stalled(s(1, 100, true)), false);
  assert.equal(dog.stalled(s(2, 100, false)), false);
  assert.equal(dog.stalled(s(3, 100, false)), true);
  assert.equal(dog.stalled(s(4, 120, true)), false);
  dog.reset();
  assert.equal(dog.stalled(s(5, 120, false)), false); // it waits for somebody
  assert.equal(dog.stalled(s(9, 120, false)), false);
  assert.equal(dog.stalled(s(12, 120, false)), true);
});

test("words", () => {
  assert.match(refusal(0), /cannot be reached/);
  assert.match(refusal(503, { reason: "capacity", result: "capacity exceeded" }), /no room for another call/);
  assert.equal(refusal(400, { reason: "invalid", result: "destination: not a SIP URI" }), "Destination: not a SIP URI.");
  assert.equal(refusal(500, { result: { x: 1 } }), "The server could not do that (500).");
  assert.equal(ending("Disconnected by another participant"), "A host has removed you from the room.");
  assert.equal(ending("Bad luck"), "The call has ended: Bad luck.");
  assert.equal(ending(), "The call has ended.");
  assert.equal(problemOf({ name: "NotReadableError" }), "busy");
  assert.match(deviceProblem("video", "none"), /^No camera was found/);
  assert.match(deviceProblems({ audio: "blocked", video: "blocked" }), /blocks the microphone and camera/);
  assert.match(deviceProblems({ audio: "none", video: "none" }), /^No microphone or camera was found/);
  assert.equal(deviceProblems({}), "");
  assert.equal(layoutName("1:7"), "Speaker and seven");
  assert.equal(layoutName("3:5"), "3 large, 5 small");
});
