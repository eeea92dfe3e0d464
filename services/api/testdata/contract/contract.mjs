// Calls every function of @pexip/infinity-api against the server whose address
// is the first argument. The room "standup" has somebody in it already. The package validates what it gets; an answer that is
// not of its shape, or of a status that it does not know, throws.
import assert from "node:assert/strict";
import * as contract from "@pexip/infinity-api";

// What of the package asks the server for nothing.
const helpers = ["withToken", "withPin", "getErrorCode", "ValidationError", "NonJSONResponseError"];
const called = new Set();
const api = Object.fromEntries(Object.entries(contract).map(([name, f]) =>
  [name, helpers.includes(name) ? f : (...args) => { called.add(name); return f(...args); }]));

const host = process.argv[2];
const alias = "standup";
let failed = 0;

async function check(what, f) {
  try {
    await f();
    console.log("ok", what);
  } catch (err) {
    failed++;
    console.log("FAILED", what + ":", err.stack ?? err);
  }
}

async function join(display_name, conferenceAlias = alias) {
  return api.requestToken({ fetcher: fetch, host, params: { conferenceAlias }, body: { display_name, direct_media: false, supports_direct_chat: false } });
}

/** Calls a function as somebody who has a token. */
function as(seat) {
  return (f, params = {}, body = undefined) =>
    f({ fetcher: api.withToken(fetch, seat.token), host, params: { conferenceAlias: alias, participantUuid: seat.participant_uuid, ...params }, body });
}

const ada = (await join("Ada")).data.result;
const bob = (await join("Bob")).data.result;
const ask = as(ada);
const him = { participantUuid: bob.participant_uuid };

await check("requestToken", () => {
  assert.equal(ada.expires, "120");
  assert.equal(ada.role, "HOST");
});
for (const [name, status, text] of [
  ["nowhere", 404, "Neither conference nor gateway found"],
  ["guessed", 403, "Invalid PIN"],
  ["blocked", 403, "Participant exceeded PIN entry retries"],
  ["locked", 403, "The conference is locked"],
  ["full", 503, "Participant limit reached"],
  ["busy", 503, "capacity exceeded"],
  ["draining", 503, "System in maintenance mode"],
  ["elsewhere", 503, "The conference is on another node: https://b.example:8443"],
]) {
  await check(`requestToken ${name}`, async () => {
    const res = await join("Ada", name);
    assert.equal(res.status, status);
    assert.equal(res.data.result, text);
  });
}
for (const [name, guest_pin] of [["secret", "required"], ["guests", "none"]]) {
  await check(`requestToken ${name}`, async () => {
    const res = await join("Ada", name);
    assert.equal(res.status, 403);
    assert.equal(res.data.result.pin, "required");
    assert.equal(res.data.result.guest_pin, guest_pin);
  });
}
await check("words of errors", () => {
  // Where the client library has a code for what we say, we say it right.
  for (const [text, code] of [
    ["Neither conference nor gateway found", "#pex154"], ["Participant limit reached", "#pex194"], ["System in maintenance mode", "#pex110"],
    ["Invalid token", "#pex113"], ["Invalid role", "#pex100"], ["Invalid PIN", "#pex101"], ["Participant exceeded PIN entry retries", "#pex192"], ["Timer expired awaiting token refresh", "#pex113"],
    ["Disconnected by another participant", "#pex124"], ["Conference terminated by another participant", "#pex125"],
    ["Signaling node disconnected", "#pex129"], ["Media process disconnected", "#pex130"], ["Call disconnected", "#pex151"],
  ]) assert.equal(api.getErrorCode(text), code, text);
});
await check("wrong token", async () => {
  const res = await as({ token: "guess", participant_uuid: "x" })(api.refreshToken);
  assert.equal(res.status, 403);
  assert.equal(res.data.result, "Invalid token");
});

const is = (result) => (res) => { assert.equal(res.status, 200); assert.deepEqual(res.data.result, result); };
const yes = is(true), nothing = is(null);
const refused = (res) => { assert.equal(res.status, 403); assert.match(res.data.result, /^Not supported: /); };

const succeeds = {
  lock: {}, unlock: {}, muteguests: {}, unmuteguests: {}, startConference: {}, clearAllBuzz: {},
  transformLayout: { body: { transforms: { layout: "1:7" } } },
  dial: { body: { role: "HOST", destination: "sip:carol@example.com", protocol: "sip" }, then: is(["dialled"]) },
  muteParticipant: { params: him }, unmuteParticipant: { params: him },
  videoMuteParticipant: { params: him }, videoUnmuteParticipant: { params: him },
  spotlightonParticipant: { params: him }, spotlightoffParticipant: { params: him },
  buzzParticipant: {}, clearbuzzParticipant: {},
  clientMuteParticipant: {}, clientUnmuteParticipant: {},
  roleParticipant: { params: him, body: { role: "chair" } },
  disconnectParticipant: { params: him },
  dtmfParticipant: { body: { digits: "1*" } },
  messageConference: { body: { type: "text/plain", payload: "hi" } },
  messageParticipant: { params: him, body: { type: "application/json", payload: "{}" } },
  feccParticipant: { params: him, body: { action: "start", target: "x", movement: [{ axis: "pan", direction: "left" }], timeout: 1000 } },
  unlockParticipant: { params: him },
  setGuestsCanUnmute: { body: { setting: true } },
  overlaytextParticipant: { params: him, body: { text: "x" } },
  preferredAspectRatio: { body: { aspect_ratio: 1.7 } }, notifyNotAFK: {},
  transferParticipant: { params: him, body: { role: "host", conference_alias: "other" } },
  presInMixParticipant: { body: { state: true } }, takeFloor: { then: nothing }, releaseFloor: { then: nothing },
};
for (const [name, { params, body, then = yes }] of Object.entries(succeeds)) {
  await check(name, async () => then(await ask(api[name], params, body)));
}
// What is not done: functions of participants know 403, the others nothing but success.
const call = { breakoutUuid: "b", callUuid: "c", mixName: "m" };
const text = { type: "text/plain", payload: "hi" };
const layout = { transforms: { layout: "1:7" } };
const move = { breakout_uuid: "b", participants: [] };
const lacking = {
  allowrxpresentationParticipant: undefined, denyrxpresentationParticipant: undefined,
  showLiveCaptions: undefined, hideLiveCaptions: undefined,
  breakoutMoveParticipantsFromMain: move, breakoutCallsWebrtcParticipant: { call_type: "WEBRTC", sdp: "v=0" },
  breakoutMuteParticipant: undefined, breakoutUnmuteParticipant: undefined, breakoutClientMuteParticipant: undefined,
  breakoutClientUnmuteParticipant: undefined, breakoutVideoMuteParticipant: undefined, breakoutVideoUnmuteParticipant: undefined,
  breakoutMoveParticipants: move, breakoutOverlaytextParticipant: { text: "x" }, breakoutTakeFloor: undefined, breakoutReleaseFloor: undefined,
  breakoutAck: {}, breakoutDisconnectCall: undefined, breakoutNewCandidate: { candidate: "x", mid: "0" }, breakoutUpdate: { sdp: "v=0" },
  breakoutShowLiveCaptions: undefined, breakoutHideLiveCaptions: undefined, breakoutUnlockParticipant: undefined,
  breakoutDisconnectParticipant: undefined, breakoutBuzzParticipant: undefined, breakoutClearbuzzParticipant: undefined,
  breakoutTransferParticipant: { role: "host", conference_alias: "other" }, breakoutFeccParticipant: { action: "start", target: "x", movement: [] },
  breakoutSpotlightonParticipant: undefined, breakoutSpotlightoffParticipant: undefined, breakoutDtmfParticipant: { digits: "1" },
};
for (const [name, body] of Object.entries(lacking)) {
  await check(name, async () => refused(await ask(api[name], { ...him, ...call }, body)));
}
await check("callsRtmpParticipant", async () => refused(await ask(api.callsRtmpParticipant, {}, { call_type: "RTMP" })));
const absent = {
  silentVideoDetection: { config: {} }, guestBreakoutBuzz: undefined, guestClearBreakoutBuzz: undefined, guestLeaveBreakout: undefined,
  videoMixesCreate: { mix_name: "m" }, videoMixesConfigure: { transform_layout: {} }, videoMixesDelete: undefined,
  breakouts: { name: "b" }, breakoutsMessage: text, breakoutsDisconnect: undefined, breakoutsEmpty: undefined, breakoutDisconnect: undefined,
  breakoutTransformLayout: layout, breakoutMuteguests: undefined, breakoutUnmuteguests: undefined, breakoutLock: undefined,
  breakoutUnlock: undefined, breakoutRequestGuestToken: undefined, breakoutMessageConference: text, hostBreakoutBuzz: undefined,
  hostClearBreakoutBuzz: undefined, breakoutClearAllBuzz: undefined, breakoutVideoMixesCreate: { mix_name: "m" },
  breakoutVideoMixesConfigure: { transform_layout: {} }, breakoutVideoMixesDelete: undefined,
};
for (const [name, body] of Object.entries(absent)) {
  await check(name, () => assert.rejects(ask(api[name], call, body), /Unexpected status 501/));
}
await check("layoutSvgs", async () => {
  const res = await ask(api.layoutSvgs);
  assert.match(res.data.result["1:7"], /^<svg /);
});
await check("conferenceStatus", async () => {
  const res = await ask(api.conferenceStatus);
  assert.equal(res.data.result.started, true);
});
await check("participants", async () => {
  const res = await ask(api.participants);
  assert.deepEqual(res.data.result.map((p) => p.display_name), ["Room 7", "Ada", "Bob"]);
});
await check("theme", async () => assert.equal((await ask(api.theme)).status, 204));
await check("availableLayouts", async () => {
  const res = await ask(api.availableLayouts, { annotate: false });
  assert.ok(res.data.result.includes("1:7"));
  assert.equal((await ask(api.availableLayouts, { annotate: true })).data.result[0].name, "1:0");
});
await check("avatarJpgParticipant", async () => {
  const res = await ask(api.avatarJpgParticipant);
  assert.equal(res.status, 404);
});
// The event stream: what comes is of the shapes of the functions above.
const stream = await fetch(`${host}/api/client/v2/conferences/${alias}/events?token=${ada.token}`);
let seen = "";
for await (const chunk of stream.body) {
  seen += Buffer.from(chunk).toString();
  if (seen.includes("event: stage")) break;
}
await check("events", async () => {
  const names = [...seen.matchAll(/^event: (\w+)\ndata: (.*)$/gm)].map((m) => [m[1], JSON.parse(m[2])]);
  const created = names.filter(([n]) => n === "participant_create").map(([, d]) => d);
  const reply = (result) => async () => new Response(JSON.stringify({ status: "success", result }), { headers: { "content-type": "application/json" } });
  await api.participants({ fetcher: reply(created), host, params: { conferenceAlias: alias } });
  await api.conferenceStatus({ fetcher: reply(names.find(([n]) => n === "conference_update")[1]), host, params: { conferenceAlias: alias } });
  assert.deepEqual(names.filter(([n]) => n.startsWith("participant_sync")), [["participant_sync_begin", null], ["participant_sync_end", null]]);
});

let callUuid;
await check("callsWebrtcParticipant", async () => {
  const res = await ask(api.callsWebrtcParticipant, {}, { call_type: "WEBRTC", sdp: "v=0 m=audio", media_type: "video", fecc_supported: false });
  assert.equal(res.status, 200);
  callUuid = res.data.result.call_uuid;
});
for (const present of ["receive", "send"]) {
  await check(`callsWebrtcParticipant, ${present}`, async () => {
    const res = await ask(api.callsWebrtcParticipant, {}, { call_type: "WEBRTC", sdp: "v=0 m=video", present });
    assert.equal(res.status, 200);
    const beside = res.data.result.call_uuid;
    assert.notEqual(beside, callUuid);
    yes(await ask(api.ack, { callUuid: beside }, {}));
    nothing(await ask(api.disconnectCall, { callUuid: beside }, {}));
  });
}
await check("callsWebrtcParticipant, broken", async () => assert.equal((await ask(api.callsWebrtcParticipant, {}, { call_type: "WEBRTC", sdp: "x" })).status, 400));
await check("ack", async () => yes(await ask(api.ack, { callUuid }, {})));
await check("newCandidate", async () => nothing(await ask(api.newCandidate, { callUuid }, { candidate: "candidate:1", mid: "0" })));
await check("update", async () => {
  const res = await ask(api.update, { callUuid }, { sdp: "v=0 again", fecc_supported: true });
  assert.equal(res.data.result.sdp, "v=0 updated");
});
await check("statistics", async () => nothing(await ask(api.statistics, { callUuid }, { audio: { rx_jitter: 1 } })));
await check("dtmf", async () => yes(await ask(api.dtmf, { callUuid }, { digits: "5" })));
await check("fecc", async () => refused(await ask(api.fecc, { callUuid }, { action: "start", movement: [] })));
await check("ack of another call", async () => assert.equal((await ask(api.ack, { callUuid: "other" }, {})).status, 403));
await check("disconnectCall", async () => nothing(await ask(api.disconnectCall, { callUuid })));

await check("refreshToken", async () => {
  const res = await ask(api.refreshToken);
  assert.equal(res.data.result.expires, "120");
  ada.token = res.data.result.token;
});
await check("disconnect", async () => yes(await ask(api.disconnect)));
await check("releaseToken", async () => yes(await ask(api.releaseToken, {}, { reason: "User initiated disconnect" })));

await check("every function of the package was called", () => {
  assert.deepEqual(Object.keys(contract).filter((name) => !helpers.includes(name) && !called.has(name)), []);
});

process.exit(failed ? 1 : 0);
