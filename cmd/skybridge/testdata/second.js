// Clients of the API that present the way that older applications do: a
// connection for the call, and one more for what is presented.

/** Joins a room, with a call that knows nothing of presentations, or none. */
window.older = async (room, name, calling = true) => {
  const root = `/api/client/v2/conferences/${room}/`;
  const me = { name, calls: {}, shown: document.createElement("video") };
  me.shown.muted = true;
  const post = async (path, body) => {
    const response = await fetch(root + path, {
      method: "POST", headers: { ...(body && { "Content-Type": "application/json" }), ...(me.token && { token: me.token }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const { result } = await response.json();
    return { status: response.status, result };
  };
  const seat = (await post("request_token", { display_name: name })).result;
  me.token = seat.token;
  me.id = seat.participant_uuid;
  const calls = `participants/${me.id}/calls`;

  /** Offers, and says how that went. */
  const negotiate = async (call, path) => {
    await call.pc.setLocalDescription();
    const { status, result } = await post(path, { call_type: "WEBRTC", sdp: call.pc.localDescription.sdp, ...(call.present && { present: call.present }) });
    if (status !== 200) return `${status} ${result}`;
    call.id = result.call_uuid;
    await call.pc.setRemoteDescription({ type: "answer", sdp: result.sdp });
    return String((await post(`${calls}/${call.id}/ack`)).status);
  };
  me.connect = async (present, stream) => {
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    const call = me.calls[present] = { pc, present };
    const candidates = [];
    pc.onicecandidate = ({ candidate }) => candidate && candidates.push({ candidate: candidate.candidate, mid: candidate.sdpMid });
    switch (present) {
      case "send":
        pc.addTransceiver(stream.getVideoTracks()[0], { direction: "sendonly" });
        break;
      case "receive":
        me.shown.srcObject = new MediaStream([pc.addTransceiver("video", { direction: "recvonly" }).receiver.track]);
        me.shown.play().catch(() => {});
        break;
      default:
        pc.addTransceiver("audio", { direction: "recvonly" });
        pc.addTransceiver(picture(["#404040"], 640, 360).getVideoTracks()[0], { direction: "sendrecv" });
    }
    const said = await negotiate(call, calls);
    if (said !== "200") pc.close();
    else for (const c of candidates) await post(`${calls}/${call.id}/new_candidate`, c);
    return said;
  };
  me.again = (present) => {
    me.calls[present].pc.restartIce();
    return negotiate(me.calls[present], `${calls}/${me.calls[present].id}/update`);
  };
  me.hangUp = async (present) => {
    me.calls[present].pc.close();
    return (await post(`${calls}/${me.calls[present].id}/disconnect`, {})).status;
  };
  /** Who sees presentations in the composed picture. */
  me.mixed = async () => {
    const response = await fetch(root + "participants", { headers: { token: me.token } });
    const { result } = await response.json();
    return result.filter((p) => p.needs_presentation_in_mix).map((p) => p.display_name).sort().join(" ");
  };
  if (calling && await me.connect("") !== "200") throw new Error("no call");
  return me;
};
