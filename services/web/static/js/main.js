import { CallView } from "./call-view.js";
import { Devices } from "./devices.js";
import { $ } from "./dom.js";
import { JoinView } from "./join-view.js";
import { toast } from "./notices.js";
import { Session } from "./session.js";
import { drawSwitches, nextTheme } from "./theme-switch.js";

const codec = new URLSearchParams(location.search).get("codec") ?? undefined;
const devices = new Devices();
/** @type {Session|undefined} */
let session;
/** @type {CallView|undefined} */
let view;

const joining = new JoinView(devices, { join, leave: () => session?.end() });

async function join(alias, name, pin) {
  await devices.opening; // the browser may still ask
  const stay = new Session({ alias, name, devices, codec });
  session = stay;
  stay.on("state", (state) => {
    if (session !== stay) return;
    if (state === "waiting") {
      view?.close();
      view = undefined;
      joining.wait();
    }
    if (state === "connecting") enter(stay, alias);
    if (state === "ended") leave(stay);
  });
  try {
    await stay.join(pin);
  } catch (err) {
    if (session !== stay || stay.state === "ended") return;
    session = undefined;
    if (err.pin) joining.askPin(err.pin, pin !== undefined);
    else if (err.wrongPIN) joining.askPin(undefined, true);
    else joining.fail(err.message, err.status === 404);
    // The browser can ask about a certificate on a page, not in a request.
    if (err.elsewhere) location.assign(`${err.elsewhere}/?${new URLSearchParams({ room: alias, name })}`);
  }
}

function enter(stay, alias) {
  if (view) return;
  joining.hide();
  $("call").hidden = false;
  history.replaceState(null, "", `/join/${encodeURIComponent(alias)}${location.search}`);
  view = new CallView(stay, devices);
}

function leave(stay) {
  const why = stay.why;
  view?.close();
  view = undefined;
  session = undefined;
  document.title = "Skybridge";
  joining.ended(why);
  devices.close(); // their lights go out
}

for (const button of document.querySelectorAll(".theme-switch")) button.addEventListener("click", nextTheme);
drawSwitches();
addEventListener("pagehide", () => session?.end());
devices.on("unroutable", () => toast("That speaker cannot be used. The sound stays where it was.", { bad: true }));
devices.open();
