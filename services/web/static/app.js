import { Seat } from "./api.js";

const $ = (id) => document.getElementById(id);
const layouts = { "1:7": "One large, seven small", "1:0": "One", "4:0": "Two by two", "9:0": "Three by three", "16:0": "Four by four", "ac": "Adapts to the number" };

let local;      // MediaStream of camera and microphone, or undefined
let seat;       // our Seat while in a call
let peer;       // our RTCPeerConnection while in a call
const off = { audio: false, video: false }; // what we have muted; outlasts a call
const people = new Map(); // participant uuid -> what the server says of it

// Joining

const query = new URLSearchParams(location.search);
const wanted = decodeURIComponent(location.pathname.match(/^\/join\/([^/]+)/)?.[1] ?? query.get("room") ?? "");
$("room").value = wanted;
$("name").value = localStorage.getItem("name") ?? query.get("name") ?? "";
preview();
navigator.mediaDevices?.addEventListener("devicechange", listDevices);
$("mic").addEventListener("change", preview);
$("cam").addEventListener("change", preview);
$("join-form").addEventListener("submit", (e) => { e.preventDefault(); join(); });
[$("name"), $("room"), $("join-button")].find((field) => !field.value).focus();

async function preview() {
  const note = $("preview-note");
  if (!navigator.mediaDevices) {
    note.textContent = "Browsers give camera and microphone to secure pages only. Open this page by https or on localhost.";
    return;
  }
  local?.getTracks().forEach((t) => t.stop());
  const pick = (id) => ($(id).value ? { deviceId: { exact: $(id).value } } : true);
  const video = { ...(pick("cam") === true ? {} : pick("cam")), width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
  local = await navigator.mediaDevices.getUserMedia({ audio: pick("mic"), video })
    .catch(() => navigator.mediaDevices.getUserMedia({ audio: pick("mic") }))
    .catch(() => navigator.mediaDevices.getUserMedia({ video }))
    .catch((err) => {
      note.textContent = err.name === "NotAllowedError"
        ? "Camera and microphone are blocked. Allow them in the address bar, or join to watch and listen."
        : "No camera or microphone was found. You can join to watch and listen.";
      return undefined;
    });
  $("preview").srcObject = local ?? null;
  await listDevices();
  meter(local);
  if (!local) return;
  note.textContent = local.getVideoTracks().length ? "" : "No camera. Others will see your name.";
  for (const track of local.getTracks()) track.enabled = !off[track.kind];
  if (off.video) note.textContent = "Your camera is off.";
}

async function listDevices() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  for (const [id, kind] of [["mic", "audioinput"], ["cam", "videoinput"]]) {
    const current = local?.getTracks().find((t) => t.kind + "input" === kind)?.getSettings().deviceId;
    const options = devices.filter((d) => d.kind === kind).map((d) => new Option(d.label || "Default", d.deviceId, false, d.deviceId === current));
    $(id).disabled = options.length === 0;
    $(id).replaceChildren(...(options.length ? options : [new Option("None", "")]));
  }
}

let meterContext;
function meter(stream) {
  meterContext?.close();
  $("level").hidden = !stream?.getAudioTracks().length;
  if ($("level").hidden) return;
  meterContext = new AudioContext();
  const analyser = meterContext.createAnalyser();
  meterContext.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const context = meterContext;
  (function draw() {
    if (context.state === "closed") return;
    analyser.getFloatTimeDomainData(samples);
    $("level").value = Math.min(1, 4 * Math.sqrt(samples.reduce((sum, s) => sum + s * s, 0) / samples.length));
    requestAnimationFrame(draw);
  })();
}

async function join() {
  const alias = $("room").value.trim();
  $("join-button").disabled = true;
  $("join-error").hidden = true;
  localStorage.setItem("name", $("name").value);
  try {
    seat = new Seat(alias);
    await seat.take($("name").value.trim());
    seat.onlost = () => end("The server has ended this call. You can join again.");
    seat.onsilent = (seconds) => {
      if (seconds > 10 && peer?.connectionState !== "connected") return end(unreachable);
      $("call-note").textContent = "The server does not answer…";
    };
    seat.onback = () => { $("call-note").textContent = ""; };
    show("call");
    $("call-note").textContent = "Connecting…";
    $("mute").focus();
    $("room-name").textContent = seat.conference;
    document.title = `${seat.conference} – Skybridge`;
    history.replaceState(null, "", `/join/${encodeURIComponent(alias)}`);
    drawMutes();
    seat.listen(handlers);
    await connect();
  } catch (err) {
    end(err.message);
    // The browser can ask about a certificate on a page, not in a request.
    if (err.elsewhere) location.assign(`${err.elsewhere}/?${new URLSearchParams({ room: alias, name: $("name").value.trim() })}`);
  }
}

const unreachable = "The server cannot be reached. Join again when it is back.";

function show(which) {
  $("join").hidden = which !== "join";
  $("call").hidden = which !== "call";
}

// The call

async function connect() {
  peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  const audio = local?.getAudioTracks()[0];
  const video = local?.getVideoTracks()[0];
  peer.addTransceiver(audio ?? "audio", { direction: audio ? "sendrecv" : "recvonly", streams: local ? [local] : [] });
  peer.addTransceiver(video ?? "video", { direction: video ? "sendrecv" : "recvonly", streams: local ? [local] : [], sendEncodings: encodings(video) });
  preferCodec(query.get("codec"));

  const far = new MediaStream();
  $("far").srcObject = far;
  peer.addEventListener("track", (e) => far.addTrack(e.track));
  $("self").srcObject = local ?? null;

  let call;
  const early = [];
  const tell = (c) => seat.me(`calls/${call}/new_candidate`, { candidate: c.candidate, mid: c.sdpMid, ufrag: c.usernameFragment }).catch(() => {});
  peer.addEventListener("icecandidate", (e) => {
    if (!e.candidate?.candidate) return;
    if (call) tell(e.candidate);
    else early.push(e.candidate);
  });
  peer.addEventListener("connectionstatechange", () => {
    const state = peer?.connectionState;
    if (state === "connected") $("call-note").textContent = "";
    if (state === "disconnected") $("call-note").textContent = "The connection is interrupted…";
    if (state === "failed") restart(call);
  });

  await peer.setLocalDescription();
  const answer = await seat.me("calls", { call_type: "WEBRTC", sdp: peer.localDescription.sdp });
  call = answer.call_uuid;
  await peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  await seat.me(`calls/${call}/ack`, {});
  early.forEach(tell);
  for (const track of local?.getTracks() ?? []) if (off[track.kind]) tellMuted(track.kind);
  $("far").play().catch(() => { $("unblock").hidden = false; });
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

/** Offers a new ICE path for a connection that has failed. */
async function restart(call) {
  try {
    peer.restartIce();
    await peer.setLocalDescription(await peer.createOffer({ iceRestart: true }));
    const answer = await seat.me(`calls/${call}/update`, { sdp: peer.localDescription.sdp });
    await peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  } catch (err) {
    end(err.status === 0 ? unreachable : `The connection was lost. ${err.message}`);
  }
}

function preferCodec(name) {
  if (!name) return;
  const codecs = RTCRtpSender.getCapabilities("video").codecs;
  const mime = `video/${name}`.toLowerCase();
  const first = codecs.filter((c) => c.mimeType.toLowerCase() === mime);
  const video = peer.getTransceivers().find((t) => t.receiver.track.kind === "video");
  if (first.length) video.setCodecPreferences([...first, ...codecs.filter((c) => !first.includes(c))]);
}

const handlers = {
  participant_sync_begin: () => people.clear(),
  participant_sync_end: drawPeople,
  participant_create: (p) => { people.set(p.uuid, p); drawPeople(); },
  participant_update: (p) => { people.set(p.uuid, p); drawPeople(); },
  participant_delete: (p) => { people.delete(p.uuid); drawPeople(); },
  stage: (stage) => {
    speaking = new Set(stage.filter((s) => s.vad > 0).map((s) => s.participant_uuid));
    drawPeople();
  },
  conference_update: (c) => {
    locked = !!c.locked;
    $("lock").textContent = c.locked ? "Unlock room" : "Lock room";
  },
  layout: (l) => { if (l.view in layouts) $("layout").value = l.view; },
  disconnect: (d) => end(d?.reason ?? "The call has ended."),
};
let speaking = new Set();
let locked = false;

const yes = (v) => v === true || v === "YES";

function drawPeople() {
  $("count").textContent = people.size === 1 ? "1 person" : `${people.size} people`;
  const rows = new Map([...$("people").children].map((row) => [row.dataset.id, row]));
  for (const [id, row] of rows) if (!people.has(id)) row.remove();
  for (const p of people.values()) {
    const row = rows.get(p.uuid) ?? newRow(p.uuid);
    if (!row.isConnected) $("people").append(row);
    drawRow(row, p);
  }
}

/** A row stays the same element while its participant is here, so that it keeps the focus. */
function newRow(id) {
  const row = $("person").content.firstElementChild.cloneNode(true);
  row.dataset.id = id;
  const ask = (what) => seat.of(id, what).catch(complain);
  row.querySelector(".mute").onclick = () => ask(yes(people.get(id).is_muted) ? "unmute" : "mute");
  row.querySelector(".drop").onclick = () => ask("disconnect");
  row.querySelector(".drop").hidden = id === seat?.id;
  return row;
}

function drawRow(row, p) {
  const name = (p.display_name || p.uri || "Guest") + (p.uuid === seat?.id ? " (you)" : "");
  const from = p.is_streaming_conference ? "Viewer" : p.protocol === "webrtc" || p.protocol === "api" ? "Browser" : p.protocol?.toUpperCase();
  const muted = yes(p.is_muted) || yes(p.is_client_muted);
  const [who, how, mute, drop] = ["b", "small", ".mute", ".drop"].map((part) => row.querySelector(part));
  row.classList.toggle("speaking", speaking.has(p.uuid));
  who.textContent = who.title = name;
  how.textContent = [from, muted && "muted", yes(p.is_on_hold) && "on hold"].filter(Boolean).join(" · ");
  mute.textContent = yes(p.is_muted) ? "Unmute" : "Mute";
  mute.setAttribute("aria-label", `${mute.textContent} ${name}`);
  drop.setAttribute("aria-label", `Remove ${name}`);
}

function complain(err) {
  $("call-note").textContent = err.message;
  setTimeout(() => { if ($("call-note").textContent === err.message) $("call-note").textContent = ""; }, 4000);
}

$("layout").replaceChildren(...Object.entries(layouts).map(([value, label]) => new Option(label, value)));
$("layout").addEventListener("change", () => seat.post("transform_layout", { transforms: { layout: $("layout").value } }).catch(complain));
$("lock").addEventListener("click", () => seat.post(locked ? "unlock" : "lock").catch(complain));

function drawMutes() {
  for (const [id, kind, stop, start] of [["mute", "audio", "Mute", "Unmute"], ["camera", "video", "Stop camera", "Start camera"]]) {
    $(id).classList.toggle("off", off[kind]);
    $(id).querySelector("span").textContent = off[kind] ? start : stop;
  }
  $("self").hidden = off.video || !local?.getVideoTracks().length;
}

/** Tells the others what we have muted ourselves. */
function tellMuted(kind) {
  return kind === "audio" ? seat.me("client_mute", { state: off.audio }) : seat.me(off.video ? "video_muted" : "video_unmuted");
}

function toggle(kind) {
  const track = local?.getTracks().find((t) => t.kind === kind);
  if (!track) return complain(new Error(kind === "audio" ? "There is no microphone." : "There is no camera."));
  off[kind] = !off[kind];
  track.enabled = !off[kind];
  drawMutes();
  tellMuted(kind).catch(complain);
}
$("mute").addEventListener("click", () => toggle("audio"));
$("camera").addEventListener("click", () => toggle("video"));
$("toggle-roster").addEventListener("click", () => {
  const hidden = $("call").classList.toggle("no-roster");
  $("toggle-roster").setAttribute("aria-expanded", String(!hidden));
});
$("unblock").addEventListener("click", () => { $("far").play(); $("unblock").hidden = true; });
$("leave").addEventListener("click", () => end());
addEventListener("pagehide", hangUp);

function hangUp() {
  peer?.close();
  peer = undefined;
  seat?.leave();
  people.clear();
  drawPeople();
}

/** Goes back to the join page, which says why and where one can join again. */
function end(reason) {
  hangUp();
  show("join");
  document.title = "Skybridge";
  $("preview-note").textContent = off.video && local ? "Your camera is off." : $("preview-note").textContent;
  $("join-error").textContent = reason ?? "";
  $("join-error").hidden = !reason;
  $("join-button").disabled = false;
  $("join-button").focus();
}
