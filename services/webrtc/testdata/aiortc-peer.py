"""Calls the server at argv[1] with the video codec argv[2]: sends 440 Hz and a
bright picture until stdin is closed, and wants to have heard 1000 Hz and seen a
dark picture by then."""
import asyncio, fractions, math, sys, urllib.request

import av
import numpy as np
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack


class Tone(AudioStreamTrack):
    at = 0

    async def recv(self):
        if self.at:
            await asyncio.sleep(max(0, self.start + self.at / 48000 - asyncio.get_event_loop().time()))
        else:
            self.start = asyncio.get_event_loop().time()
        t = np.arange(self.at, self.at + 960) / 48000
        frame = av.AudioFrame.from_ndarray((8000 * np.sin(2 * math.pi * 440 * t)).astype(np.int16).reshape(1, -1), format="s16", layout="mono")
        frame.pts, frame.sample_rate, frame.time_base = self.at, 48000, fractions.Fraction(1, 48000)
        self.at += 960
        return frame


class Bright(VideoStreamTrack):
    async def recv(self):
        pts, base = await self.next_timestamp()
        frame = av.VideoFrame.from_ndarray(np.full((360, 640, 3), 215, dtype=np.uint8), format="rgb24")
        frame.pts, frame.time_base = pts, base
        return frame


heard, seen = [], []


async def receive(track):
    while True:
        try:
            frame = await track.recv()
        except Exception:
            return
        if track.kind == "audio":
            heard.append(frame.to_ndarray().flatten()[::len(frame.layout.channels)])
            del heard[:-50]
        else:
            seen.append(frame.to_ndarray(format="gray")[100, 100])


def level(hertz):
    """The share of one frequency in what was heard last, 0 to 1."""
    x = np.concatenate(heard)[-24000:].astype(float)
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    i = round(hertz * len(x) / 48000)
    return power[i - 3:i + 4].sum() / (power.sum() or 1)


async def main(url, codec):
    pc = RTCPeerConnection()
    pc.on("track", lambda track: asyncio.ensure_future(receive(track)))
    pc.addTrack(Tone())
    pc.addTrack(Bright())
    video = [t for t in pc.getTransceivers() if t.kind == "video"][0]
    video.setCodecPreferences([c for c in RTCRtpSender.getCapabilities("video").codecs if c.mimeType in (codec, "video/rtx")])
    pc.createDataChannel("unwanted")
    await pc.setLocalDescription(await pc.createOffer())
    request = urllib.request.Request(url, data=pc.localDescription.sdp.encode())
    answer = await asyncio.to_thread(lambda: urllib.request.urlopen(request).read().decode())
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await asyncio.to_thread(sys.stdin.read)
    for _ in range(100):
        if len(heard) == 50 and level(1000) > 0.8 and seen and 70 < seen[-1] < 110:
            break
        await asyncio.sleep(0.1)
    print(pc.connectionState, len(heard), heard and level(1000), len(seen), seen[-1:])
    ok = len(heard) == 50 and level(1000) > 0.8 and seen and 70 < seen[-1] < 110
    await pc.close()
    sys.exit(0 if ok else 1)


asyncio.run(main(sys.argv[1], sys.argv[2]))
