package port_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/mix"
	"github.com/skybridge-media/skybridge/media/port"
	"github.com/skybridge-media/skybridge/media/tone"
)

// recorded returns 6 s of Opus: noise at -68 dBov, and from packet begins on a
// tone of -20.
func recorded(t *testing.T, loss, begins int) (packets [][]byte) {
	t.Helper()
	e, err := opus.Mono.NewEncoder(codecs.AudioOptions{Loss: loss}) // redundancy needs SILK
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	random, voice, frame := rand.New(rand.NewPCG(1, 1)), tone.New(48000, -26, 150, 450, 750), make(pcm.Frame, 960)
	for n := range 300 {
		for i := range frame {
			frame[i] = int16(13 * random.NormFloat64())
		}
		if n >= begins {
			voice.Read(frame)
		}
		packet, err := e.Encode(nil, frame)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, packet)
	}
	return packets
}

// In a room of fifty where nobody offers levels, and all send noise, noise is not
// heard, and a first word soon, whether or not packets tell of it.
func TestFirstWord(t *testing.T) {
	for _, tt := range []struct {
		name   string
		loss   int
		within int // Ticks, of which the jitter buffer takes one or two and the codec one
	}{
		{"hybrid", 10, 3},
		{"CELT", 0, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const begins = 203 // just after the speaker was looked at: the worst moment for CELT
			quiet, says := recorded(t, tt.loss, 300), recorded(t, tt.loss, begins)
			synctest.Test(t, func(t *testing.T) {
				b := bridge.New(bridge.Config{})
				defer b.Close()
				plan, ears := &bridge.Plan{}, newWire(t)
				var ports []*port.Port
				for i := range 50 {
					p := newPort(t, nil)
					a := phone(newWire(t))
					a.Codec, a.SendType, a.RecvType, a.EventRecvType, a.CNType = &opus.Mono, 111, 111, 0, 0
					a.Out = null{}
					if i == 0 {
						a.Out = ears
					}
					p.SetAudio(a)
					id := fmt.Sprint(i)
					plan.Members = append(plan.Members, bridge.Member{ID: id})
					b.Attach(id, p, false)
					ports = append(ports, p)
				}
				b.Apply(plan)
				d, err := opus.Mono.NewDecoder()
				if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				heard, seen := make(pcm.Frame, 0, 960), 0
				for n := range begins + 50 {
					for i, p := range ports {
						payload := quiet[n]
						if i == 33 {
							payload = says[n]
						}
						p.AudioRTP(&rtp.Packet{
							Header:  rtp.Header{PayloadType: 111, SSRC: 9, SequenceNumber: uint16(n), Timestamp: uint32(960 * n)},
							Payload: payload,
						}, time.Now())
					}
					time.Sleep(bridge.Tick)
					synctest.Wait()
					sent := ears.sent()
					for ; seen < len(sent); seen++ {
						if heard, err = d.Decode(heard[:0], sent[seen].Payload); err != nil {
							t.Fatal(err)
						}
					}
					switch level := mix.Level(heard); {
					case n >= 10 && n < begins && level < 75:
						t.Fatalf("Tick %d: noise is heard at %d", n, level)
					case n >= begins && level < 28:
						t.Logf("heard after %d Ticks", n-begins)
						if n-begins > tt.within {
							t.Errorf("want at most %d", tt.within)
						}
						return
					}
				}
				t.Error("never heard")
			})
		})
	}
}
