package port_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/port"
)

// agile is a peer with Opus, who can use redundancy.
func agile(out *wire) *port.Audio {
	a := phone(out)
	a.Codec, a.SendType, a.RecvType, a.FEC = &opus.Mono, 111, 111, true
	return a
}

// expected returns the loss that an encoder for p is to expect, in percent.
func expected(t *testing.T, p *port.Port) int {
	t.Helper()
	spec, ok := p.AudioOut()
	if !ok {
		t.Fatal("nothing to be sent")
	}
	return spec.Options.Loss
}

// TestRedundancy follows what a peer reports every so often.
func TestRedundancy(t *testing.T) {
	const every = 4 * time.Second
	type report struct{ loss, want int } // percent
	plain := func(w *wire) *port.Audio { a := agile(w); a.FEC = false; return a }
	tests := []struct {
		name    string
		peer    func(*wire) *port.Audio
		reports []report
	}{
		{"none lost", agile, []report{{0, 0}, {0, 0}, {0, 0}}},
		{"some lost", agile, []report{{4, 0}, {4, 0}, {4, 0}, {4, 0}}},
		{"a burst", agile, []report{{0, 0}, {9, 0}, {0, 0}, {6, 0}, {1, 0}, {6, 0}}},
		{"a twentieth", agile, []report{{0, 0}, {5, 0}, {5, 10}}},
		{"a tenth", agile, []report{{0, 0}, {10, 10}}},
		{"in the first report", agile, []report{{12, 10}}},
		{"held for 10 s", agile, []report{{12, 10}, {0, 10}, {0, 10}, {0, 0}, {0, 0}}},
		{"as long as some are lost", agile, []report{{12, 10}, {0, 10}, {0, 10}, {3, 10}, {0, 10}, {1, 10}, {1, 0}}},
		{"loss comes and goes", agile, []report{{12, 10}, {0, 10}, {0, 10}, {0, 0}, {12, 0}, {12, 0}, {12, 10}}},
		{"loss comes back later", agile, []report{{12, 10}, {0, 10}, {0, 10}, {0, 0}, {0, 0}, {0, 0}, {12, 10}}},
		{"a peer that cannot use it", plain, []report{{12, 0}, {12, 0}, {12, 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPort(t, nil)
				p.SetAudio(tt.peer(newWire(t)))
				for i, r := range tt.reports {
					time.Sleep(every)
					p.AudioRTCP([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 9, Reports: []rtcp.ReceptionReport{
						{SSRC: 0x3333, FractionLost: 255}, // about somebody else
						{SSRC: 0x1111, FractionLost: uint8(r.loss * 256 / 100)},
					}}}, time.Now())
					if got := expected(t, p); got != r.want {
						t.Errorf("report %d, %d %% lost: expects %d %%, want %d", i, r.loss, got, r.want)
					}
				}
			})
		})
	}
}

// TestRedundancyOverPath has a path lose packets for a while.
func TestRedundancyOverPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, toB, toA := call(t)
		audio := agile(toB)
		a.SetAudio(audio)
		audio = agile(toA)
		audio.SSRC, audio.CNAME = 0x2222, "them"
		b.SetAudio(audio)
		talk := func(d time.Duration) (took time.Duration) {
			began, before := time.Now(), expected(t, a)
			for time.Since(began) < d && expected(t, a) == before {
				a.WriteAudio(make([]byte, 60))
				time.Sleep(bridge.Tick)
			}
			return time.Since(began)
		}
		if took := talk(time.Minute); took < time.Minute {
			t.Fatalf("redundancy after %v without a loss", took)
		}
		toB.loss = 0.2
		if took := talk(time.Minute); took > 15*time.Second {
			t.Fatalf("no redundancy after %v of loss", took)
		}
		if took := talk(time.Minute); took < time.Minute {
			t.Fatalf("redundancy ends after %v, while packets are lost", took)
		}
		// The peer loses what we do not send to it.
		if got := expected(t, b); got != 0 {
			t.Errorf("the lossless direction expects %d %%", got)
		}
		toB.loss = 0
		if took := talk(time.Minute); took < 10*time.Second || took > 25*time.Second {
			t.Errorf("redundancy ends %v after the last loss", took)
		}
	})
}

// TestRedundancyOfAnotherStream begins without: what was reported of the stream
// before says nothing about it, unless it is the same one.
func TestRedundancyOfAnotherStream(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(p *port.Port, w *wire)
		want   int
	}{
		{"the same", func(p *port.Port, w *wire) { p.SetAudio(agile(w)) }, 10},
		{"SSRC", func(p *port.Port, w *wire) { a := agile(w); a.SSRC = 0x7777; p.SetAudio(a) }, 0},
		{"codec", func(p *port.Port, w *wire) {
			a := agile(w)
			a.Codec = &g711.PCMU
			p.SetAudio(a)
			p.SetAudio(agile(w))
		}, 0},
		{"removed", func(p *port.Port, w *wire) { p.SetAudio(nil); p.SetAudio(agile(w)) }, 0},
		{"no more redundancy", func(p *port.Port, w *wire) { a := agile(w); a.FEC = false; p.SetAudio(a) }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := newWire(t), newPort(t, nil)
				p.SetAudio(agile(w))
				p.AudioRTCP([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 9, Reports: []rtcp.ReceptionReport{{SSRC: 0x1111, FractionLost: 40}}}}, time.Now())
				if got := expected(t, p); got != 10 {
					t.Fatalf("expects %d %%", got)
				}
				tt.change(p, w)
				if got := expected(t, p); got != tt.want {
					t.Errorf("expects %d %%, want %d", got, tt.want)
				}
			})
		})
	}
}

// TestRedundancyKeepsOptions of the peer.
func TestRedundancyKeepsOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPort(t, nil)
		a := agile(newWire(t))
		a.Options = codecs.AudioOptions{Bitrate: 16_000, DTX: true}
		p.SetAudio(a)
		p.AudioRTCP([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 9, Reports: []rtcp.ReceptionReport{{SSRC: 0x1111, FractionLost: 40}}}}, time.Now())
		spec, _ := p.AudioOut()
		if want := (codecs.AudioOptions{Bitrate: 16_000, DTX: true, Loss: 10}); spec.Options != want {
			t.Errorf("%+v, want %+v", spec.Options, want)
		}
	})
}

// Packets wait for the next one, which restores a lost one, if the peer may send
// redundancy: whatever we send ourselves.
func TestRepairDelay(t *testing.T) {
	for _, tt := range []struct {
		fec         bool
		least, most time.Duration
	}{
		{true, 30 * time.Millisecond, 60 * time.Millisecond},
		{false, 0, 29 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			from, to, w := newPort(t, nil), newPort(t, nil), newWire(t)
			w.loss, w.delay = 0.1, 40*time.Millisecond
			w.rtp = to.AudioRTP
			from.SetAudio(agile(w))
			a := agile(newWire(t))
			a.FEC = tt.fec
			to.SetAudio(a)
			for _, packet := range recorded(t, 10, 0) {
				from.WriteAudio(packet)
				to.NextAudio()
				time.Sleep(bridge.Tick)
			}
			if d := to.Stats().AudioIn.Delay; d < tt.least || d > tt.most {
				t.Errorf("redundancy %v: a delay of %v", tt.fec, d)
			}
		})
	}
}
