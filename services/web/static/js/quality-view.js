import { openDialog } from "./dialog.js";
import { el } from "./dom.js";

/** @type {Record<import("./quality.js").Grade, string>} */
export const gradeWords = { good: "good", fair: "fair", poor: "poor", unknown: "not known yet" };

const advice = {
  good: "Sound and picture get through well.",
  fair: "Some packets get lost or come late. You may hear or see small gaps.",
  poor: "Much gets lost or comes late. A cable, a place nearer to the wireless router, or switching your camera off may help.",
  unknown: "It is being measured.",
};

const kinds = [["audio", "Sound"], ["video", "Picture"], ["slides", "Presentation"]];

/** @param {import("./quality.js").Flow} f */
const rows = [
  ["Bit rate", (f) => f && `${f.kbps} kbit/s`],
  ["Loss", (f) => f?.loss !== undefined && `${f.loss.toFixed(1)} %`],
  ["Jitter", (f) => f?.jitter !== undefined && `${Math.round(f.jitter)} ms`],
  ["Size", (f) => f?.width && `${f.width} × ${f.height}`],
  ["Frames", (f) => f?.fps !== undefined && `${Math.round(f.fps)} / s`],
  ["Codec", (f) => f?.codec],
];

/** Shows the numbers behind the indicator, as they change. */
export function showQuality(session) {
  const text = el("p");
  const table = el("div", { class: "table-box" });
  const draw = (/** @type {import("./quality.js").Sample|undefined} */ q) => {
    const grade = q?.grade ?? "unknown";
    const rtt = q?.rtt === undefined ? "" : ` Round trip: ${Math.round(q.rtt)} ms.`;
    text.replaceChildren(el("b", { text: `Quality: ${gradeWords[grade]}.` }), ` ${advice[grade]}${rtt}`);
    table.replaceChildren(...(q ? [["in", "Received"], ["out", "Sent"]].map(([way, title]) => flows(q[way], title)) : []));
  };
  draw(session.call?.last);
  openDialog("Connection quality", [text, table], session.on("quality", draw));
}

function flows(of, title) {
  const shown = kinds.filter(([k]) => of[k] && (k !== "slides" || of[k].kbps > 0));
  return el("table", {},
    el("thead", {}, el("tr", {}, el("th", { scope: "col", text: title }), ...shown.map(([, name]) => el("th", { scope: "col", text: name })))),
    el("tbody", {}, ...rows.map(([name, value]) => el("tr", {},
      el("th", { scope: "row", text: name }), ...shown.map(([k]) => el("td", { text: value(of[k]) || "–" }))))));
}
