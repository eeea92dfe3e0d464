"""Publishes by WHIP (RFC 9725) at the endpoint argv[1]: the colour argv[3]
(#rrggbb), encoded as argv[2] (video/VP8 or video/H264), and a tone of argv[4]
Hz. Prints the session's URL when media flows, ends the session when stdin is
closed, and prints the status of that and of doing it once more."""
import asyncio, fractions, math, ssl, sys
import urllib.error, urllib.parse, urllib.request

import av
import numpy as np
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

RATE, SAMPLES = 48000, 960


class Tone(AudioStreamTrack):
    def __init__(self, hertz):
        super().__init__()
        self.hertz, self.at, self.begin = hertz, 0, None

    async def recv(self):
        now = asyncio.get_event_loop().time()
        self.begin = self.begin or now
        await asyncio.sleep(max(0, self.begin + self.at / RATE - now))
        t = np.arange(self.at, self.at + SAMPLES) / RATE
        samples = (6000 * np.sin(2 * math.pi * self.hertz * t)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.pts, frame.sample_rate, frame.time_base = self.at, RATE, fractions.Fraction(1, RATE)
        self.at += SAMPLES
        return frame


class Plain(VideoStreamTrack):
    def __init__(self, colour):
        super().__init__()
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        self.picture = np.full((360, 640, 3), rgb, dtype=np.uint8)

    async def recv(self):
        pts, base = await self.next_timestamp()
        frame = av.VideoFrame.from_ndarray(self.picture, format="rgb24")
        frame.pts, frame.time_base = pts, base
        return frame


unsigned = ssl.create_default_context()
unsigned.check_hostname, unsigned.verify_mode = False, ssl.CERT_NONE


def send(method, url, body=None):
    request = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": "application/sdp"} if body else {})
    try:
        return urllib.request.urlopen(request, context=unsigned, timeout=10)
    except urllib.error.HTTPError as refusal:
        return refusal


async def main(endpoint, codec, colour, hertz):
    pc = RTCPeerConnection()
    pc.addTransceiver(Tone(float(hertz)), direction="sendonly")
    video = pc.addTransceiver(Plain(colour), direction="sendonly")
    video.setCodecPreferences([c for c in RTCRtpSender.getCapabilities("video").codecs if c.mimeType == codec])
    connected = asyncio.Event()
    pc.on("connectionstatechange", lambda: connected.set() if pc.connectionState == "connected" else None)
    await pc.setLocalDescription(await pc.createOffer())
    answer = await asyncio.to_thread(send, "POST", endpoint, pc.localDescription.sdp.encode())
    text = answer.read().decode()
    if answer.status != 201 or answer.headers.get_content_type() != "application/sdp":
        sys.exit(f"{answer.status} {answer.headers}\n{text}")
    session = urllib.parse.urljoin(endpoint, answer.headers["Location"])
    await pc.setRemoteDescription(RTCSessionDescription(text, "answer"))
    await asyncio.wait_for(connected.wait(), 15)
    print(session, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for _ in range(2):
        print((await asyncio.to_thread(send, "DELETE", session)).status, flush=True)
    await pc.close()


asyncio.run(main(*sys.argv[1:]))
