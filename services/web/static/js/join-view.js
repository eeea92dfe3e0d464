import { meter, testSpeaker } from "./devices.js";
import { $, keep, setIcon, setLabel } from "./dom.js";
import { bindPicker } from "./pickers.js";
import { deviceProblems } from "./words.js";

const steps = ["ask-name", "ask-pin", "ask-wait", "ask-again"];

/** The page before and after a call. */
export class JoinView {
  /**
   * @param {import("./devices.js").Devices} devices
   * @param {{join: (alias: string, name: string, pin?: string) => void, leave: () => void}} on
   */
  constructor(devices, on) {
    this.devices = devices;
    this.on = on;
    const query = new URLSearchParams(location.search);
    const linked = decodeURIComponent(location.pathname.match(/^\/join\/([^/]+)/)?.[1] ?? "");
    $("room").value = linked || (query.get("room") ?? "");
    $("name").value = keep.get("name") ?? query.get("name") ?? "";
    this.#linked(linked);

    $("join-form").addEventListener("submit", (e) => { e.preventDefault(); this.#submit(); });
    $("pin-form").addEventListener("submit", (e) => { e.preventDefault(); this.#submit($("pin").value.trim()); });
    $("pin-guest").addEventListener("click", () => this.#submit("none"));
    $("pin-back").addEventListener("click", () => this.ask());
    $("wait-leave").addEventListener("click", () => on.leave());
    $("rejoin").addEventListener("click", () => this.ask());
    $("try-again").addEventListener("click", () => devices.open());
    $("test-speaker").addEventListener("click", () => testSpeaker(devices));
    for (const [id, kind] of [["pre-mic", "audio"], ["pre-cam", "video"]]) {
      $(id).addEventListener("click", () => (devices.off[kind] || devices.has(kind) ? devices.setOff(kind, !devices.off[kind]) : devices.open()));
    }
    bindPicker($("mic"), devices, "audio");
    bindPicker($("cam"), devices, "video");
    bindPicker($("out"), devices, "output");
    devices.on("tracks", () => this.#tracks());
    devices.on("change", () => this.#draw());
    this.#draw();
    this.#focus();
  }

  /** A link leads to one room; there is nothing to ask then. */
  #linked(room) {
    $("room-field").hidden = room !== "";
    $("join-title").textContent = room ? `Join ${room}` : "Join a meeting";
    if (room) document.title = `${room} – Skybridge`;
  }

  #focus() { [$("name"), $("room"), $("join-button")].find((f) => !f.value && !f.closest("[hidden]"))?.focus(); }

  #submit(pin) {
    keep.set("name", $("name").value.trim());
    this.busy(true);
    this.on.join($("room").value.trim(), $("name").value.trim(), pin);
  }

  busy(busy) {
    for (const button of $("join").querySelectorAll("[type=submit], #pin-guest")) button.disabled = busy;
    $("join-button").textContent = busy ? "Joining…" : "Join now";
    for (const id of ["join-error", "pin-error"]) if (busy) $(id).hidden = true;
  }

  #step(step, focus) {
    for (const id of steps) $(id).hidden = id !== step;
    $("join").classList.toggle("over", step === "ask-again");
    focus?.focus();
  }

  show() {
    $("call").hidden = true;
    $("join").hidden = false;
  }

  hide() { $("join").hidden = true; this.#meter(undefined); }

  /** The first step: name and room. */
  ask() {
    this.busy(false);
    this.show();
    this.#step("ask-name", $("join-button"));
    this.devices.open();
  }

  /** @param {string} message why one could not join @param {boolean} elsewhere the link leads nowhere: another room may be meant */
  fail(message, elsewhere) {
    this.busy(false);
    this.show();
    if (elsewhere) this.#linked("");
    this.#step("ask-name", elsewhere ? $("room") : $("join-button"));
    $("join-error").textContent = message;
    $("join-error").hidden = false;
  }

  /** @param {{pin: string, guest_pin: string}} [needs] as before, if absent @param {boolean} wrong */
  askPin(needs = this.needs, wrong) {
    this.needs = needs;
    this.busy(false);
    $("pin").value = "";
    $("pin-guest").hidden = needs?.guest_pin !== "none";
    $("pin-hint").textContent = needs?.guest_pin !== "none"
      ? "Enter the PIN from your invitation." : "Hosts enter the PIN. Guests join without.";
    $("pin-error").textContent = wrong ? "That PIN is not right. Please try again." : "";
    $("pin-error").hidden = !wrong;
    this.#step("ask-pin", $("pin"));
  }

  wait() {
    this.busy(false);
    this.show();
    this.#step("ask-wait", $("ask-wait").querySelector("h1"));
  }

  /** @param {string} [why] */
  ended(why) {
    this.busy(false);
    this.show();
    $("ended-title").textContent = why ? "The call is over" : "You have left";
    $("ended-why").textContent = why ?? "Thank you for being there.";
    this.#step("ask-again", $("ended-title"));
  }

  #tracks() {
    const { audio, video } = this.devices.tracks;
    $("preview").srcObject = video ? new MediaStream([video]) : null;
    this.#meter($("join").hidden ? undefined : audio);
  }

  #meter(track) {
    this.unmeter?.();
    this.unmeter = undefined;
    if (!track) return;
    const bar = $("level").firstElementChild;
    let said = 0;
    this.unmeter = meter(track, (level) => {
      const shown = this.devices.off.audio ? 0 : level;
      bar.style.transform = `scaleX(${shown.toFixed(3)})`;
      if (Math.abs(shown - said) > 0.1) $("level").setAttribute("aria-valuenow", String(Math.round(100 * (said = shown))));
    });
  }

  #draw() {
    const d = this.devices;
    for (const [id, kind, thing, on, off] of [["pre-mic", "audio", "microphone", "mic", "mic-off"], ["pre-cam", "video", "camera", "cam", "cam-off"]]) {
      const isOff = d.off[kind] || (!d.asking && !d.has(kind));
      setIcon($(id), isOff ? off : on);
      setLabel($(id), `${isOff ? "Switch on" : "Switch off"} ${thing}`);
      $(id).classList.toggle("off", isOff);
    }
    const over = !$("ask-again").hidden;
    $("preview-note").textContent = d.tracks.video ? ""
      : d.asking ? "Starting camera and microphone. Your browser may ask you to allow it."
      : over ? "Camera and microphone are closed."
      : d.off.video ? "Your camera is off"
      : d.problem.video ? "No picture" : "";
    const help = deviceProblems(d.problem);
    $("device-help").hidden = !help || over;
    $("device-help").querySelector("p").textContent = help && `${help} You can also join to watch and listen.`;
    $("try-again").hidden = Object.values(d.problem).every((p) => p === "insecure");
    $("out-field").hidden = d.list.output.length === 0;
    $("level").hidden = !d.tracks.audio;
  }
}

