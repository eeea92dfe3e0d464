package jitter_test

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/media/jitter"
	"github.com/skybridge-media/skybridge/media/payload"
)

// FuzzAudio takes packets and Ticks from b, ten bytes each: whatever the
// numbers say, every Tick is filled and nothing is played twice.
func FuzzAudio(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 160, 160, 20, 0, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 20})
	f.Add([]byte{0, 255, 255, 255, 255, 255, 160, 127, 0, 5, 0, 0, 0, 0, 0, 159, 160, 20, 0, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 40})
	f.Fuzz(func(t *testing.T, b []byte) {
		buf := jitter.NewAudio(jitter.AudioConfig{Clock: clock, Repair: 30 * time.Millisecond})
		now := origin
		surplus := 0
		var put uint32
		played := map[uint32]bool{}
		for ; len(b) >= 10; b = b[10:] {
			now = now.Add(time.Duration(b[9]) * time.Millisecond)
			if b[0]%2 == 0 {
				put++
				buf.Put(jitter.Packet{
					Sequence: binary.BigEndian.Uint16(b[1:]), Timestamp: uint32(b[3])<<24 | uint32(b[4])<<8 | uint32(b[5]),
					Duration: int(b[6])*8 - 100, Level: int(b[7]) - 1, Mute: b[8]&1 != 0,
					Payload: binary.BigEndian.AppendUint32(nil, put),
				}, now)
				continue
			}
			for _, p := range buf.Next(now) {
				if !p.Merge {
					surplus += p.Duration
				}
				if p.Kind == jitter.Play {
					if n := uint32(number(p)); played[n] {
						t.Fatalf("packet %d is played twice", n)
					} else {
						played[n] = true
					}
				}
			}
			if surplus -= clock / 50; surplus < 0 {
				t.Fatalf("a Tick lacks %d units", -surplus)
			}
		}
	})
}

func hasKey(f jitter.Frame) bool {
	return slices.ContainsFunc(f.Payloads, func(p []byte) bool { return (p[0]>>1&3)%3 != 0 })
}

// FuzzVideo takes packets from b, six bytes each: whatever the numbers say,
// pictures begin with a key frame and hold one timestamp.
func FuzzVideo(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, 1, 1, 0, 1, 0, 1, 1, 1, 0, 3, 1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		buf := jitter.NewVideo(true)
		now := origin
		var asked []uint16
		for ; len(b) >= 6; b = b[6:] {
			now = now.Add(time.Duration(b[5]) * time.Millisecond)
			var body []byte
			if b[4]&1 != 0 {
				body = []byte{b[3], b[2]}
			}
			wasSeeking := buf.Seeking()
			buf.Put(jitter.VideoPacket{
				Sequence: binary.BigEndian.Uint16(b), Timestamp: uint32(b[2]),
				Marker: b[3]&1 != 0, Key: payload.Start((b[3] >> 1 & 3) % 3), Payload: body,
			}, now)
			asked = buf.Resend(asked[:0], now, 0)
			for first := true; ; first = false {
				f, ok := buf.Next(now, 0)
				if !ok {
					break
				}
				for i, p := range f.Payloads {
					if uint32(p[1]) != f.Timestamp {
						t.Fatalf("payload of picture %d in picture %d", p[1], f.Timestamp)
					}
					if first && i == 0 && wasSeeking && !hasKey(f) {
						t.Fatal("the first picture is no key frame")
					}
				}
			}
		}
	})
}
