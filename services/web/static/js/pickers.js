import { el } from "./dom.js";

const nothing = { audio: "No microphone", video: "No camera", output: "Default" };

/**
 * Lists the devices of a kind in a select element, and uses what is chosen.
 * @param {HTMLSelectElement} select
 * @param {import("./devices.js").Devices} devices
 * @param {"audio"|"video"|"output"} kind
 */
export function bindPicker(select, devices, kind) {
  select.addEventListener("change", () => devices.select(kind, select.value));
  const draw = () => {
    const current = devices.current(kind);
    const options = devices.list[kind].map((d, i) => el("option", { value: d.deviceId, text: d.label || `Device ${i + 1}`, selected: d.deviceId === current }));
    select.disabled = options.length === 0;
    const only = devices.tracks[kind]?.label || nothing[kind]; // browsers may open a device and tell nothing of others
    select.replaceChildren(...(options.length ? options : [el("option", { value: "", text: only })]));
  };
  draw();
  return devices.on("change", draw);
}
