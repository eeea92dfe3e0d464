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

calls.onRemoteStream.add((stream) => { document.getElementById("far").srcObject = stream; });
calls.onRemotePresentationStream.add((stream) => { document.getElementById("slides").srcObject = stream; });

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
});
