// What people read when something fails. No codes, no names of programs.

/** By the reason that the server gives with a refusal. */
const reasons = {
  locked: "The room is locked. Ask somebody inside to let you in.",
  full: "The room is full.",
  capacity: "The server has no room for another call now. Please try again in a minute.",
  maintenance: "The server is about to be maintained and takes no new calls now.",
  role: "Only hosts can do that.",
  token: "Your place in the room has expired. Join again.",
  blocked: "Too many wrong PINs were tried. Wait ten minutes, then try again.",
  floor: "Somebody else is presenting. Wait until they have stopped.",
  rate: "That was too much at once. Wait a moment.",
  streams: "This room is open in too many windows.",
  unavailable: "The server does not answer in time. Please try again.",
};

/**
 * @param {number} status of HTTP; 0: no answer
 * @param {{reason?: string, result?: any}} [body]
 */
export function refusal(status, body) {
  if (status === 0) return "The server cannot be reached. Check your connection.";
  if (body?.reason && reasons[body.reason]) return reasons[body.reason];
  if (typeof body?.result === "string" && body.result) return sentence(body.result);
  return `The server could not do that (${status}).`;
}

/** By the text of the event that ends a seat. */
const endings = [
  [/disconnected by another participant/i, "A host has removed you from the room."],
  [/terminated by another participant|conference.*ended/i, "A host has ended the meeting."],
  [/node|stopping/i, "The server is being stopped. You can join again in a moment."],
  [/media process/i, "Your sound and picture did not get through, so the call has ended."],
  [/token refresh/i, "You were away for too long, so your place was given up."],
  [/^call disconnected$/i, "The call has ended."],
];

/** @param {string} [reason] */
export function ending(reason) {
  if (!reason) return "The call has ended.";
  const known = endings.find(([pattern]) => pattern.test(reason));
  return known ? known[1] : `The call has ended: ${sentence(reason)}`;
}

function sentence(text) {
  const first = text.trim();
  return first.charAt(0).toUpperCase() + first.slice(1) + (/[.!?]$/.test(first) ? "" : ".");
}

const things = { audio: "microphone", video: "camera" };

/**
 * What keeps a device from working, and what to do about it.
 * @param {"audio"|"video"} kind
 * @param {"blocked"|"none"|"busy"|"insecure"|"unknown"} problem
 */
export function deviceProblem(kind, problem) {
  const thing = things[kind];
  switch (problem) {
    case "blocked":
      return `Your browser blocks the ${thing}. Allow it with the symbol beside the address, then choose “Try again”.`;
    case "none":
      return `No ${thing} was found. Plug one in, and it is used at once.`;
    case "busy":
      return `Another program is using the ${thing}, or it does not respond. Close that program, then choose “Try again”.`;
    case "insecure":
      return `Browsers give the ${thing} to secure pages only. Open this page with a secure address.`;
  }
  return `The ${thing} could not be started.`;
}

/** Both devices at once, where they fail for the same reason. */
export function deviceProblems({ audio, video }) {
  if (audio && audio === video) {
    return deviceProblem("audio", audio).replaceAll("microphone", "microphone and camera").replace("No microphone and camera was", "No microphone or camera was");
  }
  return [audio && deviceProblem("audio", audio), video && deviceProblem("video", video)].filter(Boolean).join(" ");
}

/** @param {DOMException} err of getUserMedia */
export function problemOf(err) {
  return {
    NotAllowedError: "blocked", SecurityError: "blocked",
    NotFoundError: "none", OverconstrainedError: "none",
    NotReadableError: "busy", AbortError: "busy",
  }[err?.name] ?? "unknown";
}

/** @param {number} n @param {string} one @param {string} [more] */
export const count = (n, one, more = `${one}s`) => `${n} ${n === 1 ? one : more}`;

const protocols = { webrtc: "Browser", api: "Browser", sip: "SIP", h323: "H.323", rtmp: "Stream", mssip: "Skype" };

/** @param {string} protocol of a participant */
export const origin = (protocol) => protocols[protocol] ?? "";

/** @param {string} view as the server names layouts @returns {string} for people */
export function layoutName(view) {
  const known = {
    "1:0": "Speaker only", "1:7": "Speaker and seven", "1:21": "Speaker and 21", "2:21": "Two and 21", "1:33": "Speaker and 33",
    "4:0": "Two by two", "9:0": "Three by three", "16:0": "Four by four", "25:0": "Five by five",
    ac: "Adapts to the number",
  };
  return known[view] ?? view.replace(":", " large, ") + (view.includes(":") ? " small" : "");
}
