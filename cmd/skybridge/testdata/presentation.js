// Clients of the API that present to each other the way that applications do:
// one connection with three sections, the last of which is for what is presented.

/** Joins a room; the client has what it was told and what it shows. */
window.join = async (room, name) => {
  const root = `/api/client/v2/conferences/${room}/`;
  const me = { name, events: [], shown: document.createElement("video") };
  const post = async (path, body = {}) => {
    const response = await fetch(root + path, {
      method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...(me.token && { token: me.token }) },
    });
    const { result } = await response.json();
    return { status: response.status, result };
  };
  const seat = (await post("request_token", { display_name: name })).result;
  me.token = seat.token;
  me.id = seat.participant_uuid;

  const pc = me.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  me.shown.muted = true;
  pc.addTransceiver("audio", { direction: "recvonly" });
  pc.addTransceiver(picture(["#404040"], 640, 360).getVideoTracks()[0], { direction: "sendrecv" });
  const slides = me.slides = pc.addTransceiver("video", { direction: "inactive" });
  me.shown.srcObject = new MediaStream([slides.receiver.track]);

  let at = Promise.resolve();
  const negotiate = () => at = at.then(async () => {
    await pc.setLocalDescription();
    const parts = pc.localDescription.sdp.split(/(?=^m=)/m);
    parts[3] = parts[3].replace(/^(c=.*\r\n)/m, "$1a=content:slides\r\n");
    const path = me.call ? `participants/${me.id}/calls/${me.call}/update` : `participants/${me.id}/calls`;
    const { status, result } = await post(path, { call_type: "WEBRTC", sdp: parts.join("") });
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(result)}`);
    me.call ??= result.call_uuid;
    me.answer = result.sdp;
    await pc.setRemoteDescription({ type: "answer", sdp: result.sdp });
    await post(`participants/${me.id}/calls/${me.call}/ack`);
  });
  await negotiate();

  me.send = async (stream) => {
    await slides.sender.replaceTrack(stream.getVideoTracks()[0]);
    slides.direction = "sendonly";
    await negotiate();
  };
  me.stop = async () => {
    slides.direction = "inactive";
    await slides.sender.replaceTrack(null);
    await negotiate();
  };
  me.receive = async () => {
    await slides.sender.replaceTrack(null);
    slides.direction = "recvonly";
    await negotiate();
    me.shown.play();
  };
  me.floor = async (take) => (await post(`participants/${me.id}/${take ? "take" : "release"}_floor`)).status;

  const events = new EventSource(`${root}events?token=${me.token}`);
  const note = (e) => me.events.push(e.type + " " + (JSON.parse(e.data || "null")?.presenter_name ?? ""));
  events.addEventListener("presentation_start", async (e) => {
    note(e);
    if (JSON.parse(e.data).presenter_uuid !== me.id) await me.receive();
  });
  events.addEventListener("presentation_stop", async (e) => {
    note(e);
    await me.stop();
  });
  return me;
};

/** A stream of a picture of stripes, side by side, that is text. */
window.picture = (colours, width, height) => {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const brush = canvas.getContext("2d");
  let n = 0;
  setInterval(() => {
    colours.forEach((c, i) => {
      brush.fillStyle = c;
      brush.fillRect(width * i / colours.length, 0, width / colours.length, height);
    });
    brush.fillStyle = n++ % 2 ? "#ffffff" : "#000000"; // in a corner, so that there is something new to send
    brush.fillRect(width - 4, height - 4, 4, 4);
  }, 100);
  const stream = canvas.captureStream(10);
  stream.getVideoTracks()[0].contentHint = "text";
  return stream;
};

/** What a client sees of the presentation: which of red, green and blue there are in
 * each third. */
window.presented = (me) => {
  if (!me.shown.videoWidth) return "nothing";
  const canvas = new OffscreenCanvas(90, 9), brush = canvas.getContext("2d");
  brush.drawImage(me.shown, 0, 0, 90, 9);
  const bright = (rgb) => ["r", "g", "b"].filter((_, i) => rgb[i] > 128).join("");
  return [16, 45, 74].map((x) => bright(brush.getImageData(x, 4, 1, 1).data)).join(" ");
};
