// A page that does with @pexip/infinity what the test says, and keeps what it
// is told: by signals, by answers, and by the library's complaints.
import * as infinity from "@pexip/infinity";

const told = {};
const answers = [];
const complaints = [];
const signals = infinity.createInfinityClientSignals([], { batchScheduleTimeoutMS: 0, batchBufferSize: 100 });
const calls = infinity.createCallSignals([]);
for (const [name, signal] of [...Object.entries(signals), ...Object.entries(calls)]) {
  told[name] ??= [];
  signal.add((value) => told[name].push(...(Array.isArray(value) ? value : [value])));
}

const fetched = window.fetch.bind(window);
window.fetch = async (input, init) => {
  const response = await fetched(input, init);
  answers.push(`${response.status} ${new URL(input, location).pathname.split("/").slice(6).join("/")}`);
  return response;
};
for (const level of ["error", "warn"]) {
  console[level] = (message, meta) => complaints.push(`${message ?? "error"}: ${meta?.error ?? meta?.stack ?? JSON.stringify(meta)}`);
}
addEventListener("unhandledrejection", (e) => complaints.push(`unhandled: ${e.reason}`));

const show = (id) => (stream) => {
  const video = document.getElementById(id);
  video.srcObject = stream;
  video.play().catch(() => {}); // another stream came; muted videos that nobody can see do not begin by themselves
};
calls.onRemoteStream.add(show("far"));
calls.onRemotePresentationStream.add(show("slides"));

const client = infinity.createInfinityClient(signals, calls);
Object.assign(window, {
  client, told, answers, complaints, infinity,
  last: (name) => told[name].at(-1),
  find: (name) => client.getParticipants("main").find((p) => p.displayName === name),
  join: async (params) => {
    window.near ??= await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 360 } });
    window.answer = await client.call({
      displayName: "page", bandwidth: 1500, mediaStream: window.near,
      callType: infinity.ClientCallType.AudioVideoPresentation, ...params,
    });
    return answer.status;
  },
  /** A stream of stripes side by side. */
  picture: (...colours) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 1280, height: 720 });
    const brush = canvas.getContext("2d");
    let n = 0;
    setInterval(() => {
      colours.forEach((colour, i) => {
        brush.fillStyle = colour;
        brush.fillRect(1280 * i / colours.length, 0, 1280 / colours.length, 720);
      });
      brush.fillStyle = n++ % 2 ? "#fff" : "#000"; // something new
      brush.fillRect(1276, 716, 4, 4);
    }, 100);
    return canvas.captureStream(10);
  },
  /** What is presented to this page: which of red, green and blue there are in each third. */
  presented: () => {
    const slides = document.getElementById("slides");
    if (!slides.videoWidth) return "nothing";
    const brush = new OffscreenCanvas(90, 9).getContext("2d");
    brush.drawImage(slides, 0, 0, 90, 9);
    return [15, 45, 75].map((x) => {
      const rgb = brush.getImageData(x, 4, 1, 1).data;
      return ["r", "g", "b"].filter((_, i) => rgb[i] > 128).join("");
    }).join(" ");
  },
  /** Another page with a client of its own. */
  open: async () => {
    const frame = document.body.appendChild(Object.assign(document.createElement("iframe"), { src: location.href }));
    await new Promise((loaded) => { frame.onload = loaded; });
    return frame.contentWindow;
  },
});
