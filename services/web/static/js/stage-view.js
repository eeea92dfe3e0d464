import { $, el } from "./dom.js";
import { face } from "./face.js";
import { nameOf } from "./room.js";
import { toast } from "./notices.js";

/** The pictures: the room, a presentation, ourselves; and who speaks. */
export class StageView {
  /**
   * @param {import("./session.js").Session} session
   * @param {import("./devices.js").Devices} devices
   */
  constructor(session, devices) {
    Object.assign(this, { session, devices });
    const { room, presentation } = session;
    this.offs = [
      session.on("call", (call) => this.#play(call)),
      devices.on("change", () => this.#self()),
      devices.on("tracks", () => this.#self()),
      room.on("stage", () => { this.#caption(); this.#alone(); }),
      room.on("people", () => { this.#caption(); this.#alone(); }),
      session.on("state", () => this.#alone()),
      room.on("presentation", () => this.#presentation()),
      presentation.on("change", () => this.#presentation()),
    ];
    this.unblock = () => { $("far").play(); $("unblock").hidden = true; };
    $("unblock").addEventListener("click", this.unblock);
    if (session.call) this.#play(session.call);
    this.#self();
    this.#caption();
    this.#alone();
    this.#presentation();
  }

  #play(call) {
    $("far").srcObject = call.far;
    $("slides").srcObject = this.session.presentation.stream;
    this.#self();
    $("far").play().catch((err) => { if (err.name === "NotAllowedError") $("unblock").hidden = false; });
  }

  #self() {
    const { video } = this.devices.tracks;
    if ($("self").srcObject?.getVideoTracks()[0] !== video) $("self").srcObject = video ? new MediaStream([video]) : null;
    $("self-box").hidden = !video;
    this.devices.route($("far"));
  }

  #caption() {
    const { room } = this.session;
    const who = [...room.speaking].filter((id) => id !== room.me()).map((id) => room.people.get(id)).filter(Boolean);
    $("caption").hidden = who.length === 0;
    if (who.length) $("caption").lastElementChild.textContent = who.map(nameOf).join(", ");
  }

  /** A black picture looks like a failure; show who is here without sound and picture. */
  #alone() {
    const { room, state } = this.session;
    const others = room.present.filter((p) => p.uuid !== room.me());
    const dark = state === "connected" && !room.presenter && !others.some((p) => p.has_media);
    $("alone").hidden = state !== "connected" || others.length > 0;
    $("faces").hidden = !dark || others.length === 0;
    if ($("faces").hidden) return;
    $("faces").replaceChildren(...others.slice(0, 8).map((p) => el("li", { class: room.speaking.has(p.uuid) ? "speaking" : undefined }, face(nameOf(p)), el("b", { text: nameOf(p) }))));
  }

  #presentation() {
    const { room, presentation, seat } = this.session;
    const by = room.presenter;
    const theirs = !!by && by.id !== seat.id && !presentation.screen && presentation.agreed;
    if (theirs && $("slides").hidden) toast(`${by.name} is presenting`);
    $("slides").hidden = !theirs;
    $("slides").setAttribute("aria-label", theirs ? `Presentation of ${by.name}` : "Presentation");
    document.querySelector(".stage").classList.toggle("presenting", theirs);
    $("sharing").hidden = !presentation.screen;
    if (theirs) $("slides").play().catch(() => {});
  }

  close() {
    for (const off of this.offs) off();
    $("unblock").removeEventListener("click", this.unblock);
    $("unblock").hidden = true;
    $("alone").hidden = $("faces").hidden = true;
    for (const id of ["far", "slides", "self"]) $(id).srcObject = null;
    document.querySelector(".stage").classList.remove("presenting");
    $("slides").hidden = true;
    $("caption").hidden = $("sharing").hidden = true;
  }
}
