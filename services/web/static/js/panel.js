import { $, keep } from "./dom.js";

const tabs = ["people", "chat"];

/** The panel at the side, with people or chat. On narrow screens it covers the page. */
export class Panel {
  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.session = session;
    this.open = undefined;
    /** @type {((tab: string|undefined) => void)[]} */
    this.listeners = [];
    for (const tab of tabs) {
      $(`tab-${tab}`).onclick = () => this.show(tab);
      $(`tab-${tab}`).onkeydown = (e) => {
        if (!["ArrowLeft", "ArrowRight"].includes(e.key)) return;
        const other = tabs[1 - tabs.indexOf(tab)];
        if ($(`tab-${other}`).hidden) return;
        this.show(other);
        $(`tab-${other}`).focus();
      };
    }
    $("panel-close").onclick = () => this.hide(true);
    $("panel").onkeydown = (e) => { if (e.key === "Escape") this.hide(true); };
    const wide = matchMedia("(min-width: 901px)");
    wide.onchange = () => { if (!wide.matches) this.#draw(undefined); }; // it would cover the picture
    this.#draw(wide.matches && keep.get("panel") !== "closed" ? "people" : undefined);
  }

  shows(tab) { return this.open === tab; }

  toggle(tab) {
    if (this.open === tab) this.hide(true);
    else this.show(tab, true);
  }

  show(tab, focus = false) {
    this.#draw(tab);
    keep.set("panel", "open");
    if (focus) (tab === "chat" ? $("chat-text") : $("tab-people")).focus();
  }

  hide(focus = false) {
    const was = this.open;
    this.#draw(undefined);
    keep.set("panel", "closed");
    if (focus && was) [$(`${was}-toggle`), $("more")].find((b) => b.checkVisibility())?.focus();
  }

  #draw(tab) {
    this.open = tab;
    $("panel").hidden = !tab;
    for (const t of tabs) {
      $(`${t}-pane`).hidden = t !== tab;
      $(`tab-${t}`).setAttribute("aria-selected", String(t === tab));
      $(`tab-${t}`).tabIndex = t === tab ? 0 : -1;
      $(`${t}-toggle`).setAttribute("aria-expanded", String(t === tab));
    }
    if (tab) $("toasts").replaceChildren(); // what they tell can be seen now
    for (const listener of this.listeners) listener(tab);
  }
}
