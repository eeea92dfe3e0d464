package port

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/jitter"
	"github.com/skybridge-media/skybridge/media/mix"
)

// tick48 is a Tick at 48 kHz.
const tick48 = 960

// counting is a codec at 48 kHz whose payload is one byte for each
// millisecond, decoded to 48 samples of 100 times its value.
type counting struct {
	decodes, conceals, recovers int
	made, closed, resets        int
	err                         error
}

func (c *counting) codec() *codecs.Audio {
	return &codecs.Audio{
		Name: "counting", Format: pcm.Format{Rate: 48000, Channels: 1}, Clock: 48000,
		NewDecoder: func() (codecs.AudioDecoder, error) { c.made++; return c, nil },
	}
}

func (c *counting) Decode(dst pcm.Frame, packet []byte) (pcm.Frame, error) {
	if packet == nil {
		c.conceals++
		return append(dst, slices.Repeat(pcm.Frame{10000}, tick48)...), nil
	}
	c.decodes++
	if c.err != nil {
		return dst, c.err
	}
	for _, b := range packet {
		dst = append(dst, slices.Repeat(pcm.Frame{100 * int16(b)}, 48)...)
	}
	return dst, nil
}

func (c *counting) Recover(dst pcm.Frame, next []byte) (pcm.Frame, error) {
	c.recovers++
	return append(dst, slices.Repeat(pcm.Frame{-100 * int16(next[0])}, tick48)...), nil
}

func (c *counting) Reset() error { c.resets++; return nil }

func (c *counting) Close() error { c.closed++; return nil }

// said is a piece of n milliseconds, each with the value v.
func said(v byte, ms int) jitter.Piece {
	return jitter.Piece{Kind: jitter.Play, Duration: 48 * ms, Level: unknownLevel, Payload: slices.Repeat([]byte{v}, ms)}
}

func newTestPlayer(t *testing.T) (*player, *counting) {
	t.Helper()
	c := &counting{}
	return newPlayer(c.codec(), slog.New(slog.DiscardHandler)), c
}

// heard returns the Tick as its runs of equal samples: "3x20" is the value 300
// for 20 ms.
func heard(p *player) string {
	dst := make(pcm.Frame, tick48)
	p.read(dst)
	out := ""
	for i := 0; i < len(dst); {
		j := i
		for j < len(dst) && dst[j] == dst[i] {
			j++
		}
		out += fmt.Sprintf("%dx%d ", dst[i]/100, (j-i)/48)
		i = j
	}
	return out
}

func expect(t *testing.T, p *player, want string) {
	t.Helper()
	if got := heard(p); got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
}

func TestPlayerLongPackets(t *testing.T) {
	p, c := newTestPlayer(t)
	packet := jitter.Piece{Kind: jitter.Play, Duration: 60 * 48, Level: 30, Payload: slices.Concat(
		slices.Repeat([]byte{1}, 20), slices.Repeat([]byte{2}, 20), slices.Repeat([]byte{3}, 20))}
	for range 3 {
		for i, ahead := range []int{40, 20, 0} {
			var pieces []jitter.Piece
			if i == 0 {
				pieces = []jitter.Piece{packet}
			}
			if tick := p.take(pieces, ahead*48); !tick.Voice || !tick.HasLevel || tick.Level != 30 {
				t.Errorf("tick %+v, want a voice of level 30 all the time", tick)
			}
			expect(t, p, fmt.Sprintf("%dx20 ", i+1))
		}
	}
	if c.decodes != 3 || c.made != 1 {
		t.Errorf("%d decodes by %d decoders, want 3 by 1", c.decodes, c.made)
	}
}

// TestPlayerDecodesNothingUnheard and begins anew when somebody listens.
func TestPlayerDecodesNothingUnheard(t *testing.T) {
	p, c := newTestPlayer(t)
	p.take([]jitter.Piece{said(200, 20)}, 0)
	expect(t, p, "200x20 ")
	for range 50 {
		p.take([]jitter.Piece{said(2, 20)}, 0)
	}
	if c.decodes != 1 {
		t.Errorf("%d decodes, want 1: nobody heard the rest", c.decodes)
	}
	// The last unheard packet began 10 ms before the end of its Tick.
	p.take([]jitter.Piece{said(2, 30)}, 10*48)
	p.take([]jitter.Piece{said(3, 30)}, 20*48)
	expect(t, p, "0x10 3x10 ")
	p.take(nil, 0)
	expect(t, p, "3x20 ")
	if c.made != 1 || c.closed != 0 || c.resets != 1 {
		t.Errorf("%d decoders made, %d closed, %d reset, want one, and reset after the pause", c.made, c.closed, c.resets)
	}
}

// TestPlayerKeepsQuietState, by which a decoder judges the noise that it is
// given now and then better than a fresh one, until nobody has asked for long.
func TestPlayerKeepsQuietState(t *testing.T) {
	p, c := newTestPlayer(t)
	for range 3 {
		for range 50 {
			p.take([]jitter.Piece{said(1, 20)}, 0)
		}
		expect(t, p, "1x20 ")
	}
	if c.decodes != 3 || c.made != 1 || c.closed != 0 || c.resets != 0 {
		t.Errorf("%d decodes by %d decoders, %d closed, %d reset; want 3 by the same", c.decodes, c.made, c.closed, c.resets)
	}
	for range 501 {
		p.take([]jitter.Piece{said(1, 20)}, 0)
	}
	if c.closed != 1 {
		t.Error("the decoder is kept, although nobody has heard it for 10 s")
	}
	expect(t, p, "1x20 ")
	if c.made != 2 || c.resets != 0 {
		t.Errorf("%d decoders made, %d reset", c.made, c.resets)
	}
}

func TestPlayerConcealment(t *testing.T) {
	p, c := newTestPlayer(t)
	p.take([]jitter.Piece{said(1, 20)}, 0)
	heard(p)
	var voice []bool
	var last []int
	dst := make(pcm.Frame, tick48)
	for range 12 {
		tick := p.take([]jitter.Piece{{Kind: jitter.Conceal, Duration: tick48}}, 0)
		voice = append(voice, tick.Voice)
		p.read(dst)
		last = append(last, int(dst[len(dst)-1]))
	}
	for i := range 12 {
		switch {
		case i < 5 && last[i] != 10000:
			t.Errorf("%d after %d ms, want full loudness", last[i], 20*(i+1))
		case i >= 5 && i < 9 && (last[i] >= last[i-1] || last[i] == 0):
			t.Errorf("%d after %d ms, want it to fade from %d", last[i], 20*(i+1), last[i-1])
		case i > 9 && last[i] != 0:
			t.Errorf("%d after %d ms, want silence", last[i], 20*(i+1))
		}
		if want := i < 10; voice[i] != want {
			t.Errorf("voice %v after %d ms", voice[i], 20*(i+1))
		}
	}
	p.take([]jitter.Piece{{Kind: jitter.Recover, Duration: tick48, Payload: []byte{7}}}, 0)
	heard(p)
	if c.recovers != 1 || c.conceals != 12 {
		t.Errorf("%d recovered, %d concealed", c.recovers, c.conceals)
	}
	p.take([]jitter.Piece{said(7, 20)}, 0)
	expect(t, p, "7x20 ")
	p.take([]jitter.Piece{{Kind: jitter.Conceal, Duration: 10 * 48}, said(1, 10)}, 0)
	expect(t, p, "100x10 1x10 ")
}

// TestPlayerConcealsWhatIsCorrupt and replaces a decoder that fails for good.
func TestPlayerConcealsWhatIsCorrupt(t *testing.T) {
	p, c := newTestPlayer(t)
	c.err = fmt.Errorf("test: %w", codecs.ErrCorrupt)
	p.take([]jitter.Piece{said(1, 20)}, 0)
	expect(t, p, "100x20 ")
	c.err = fmt.Errorf("test: out of memory")
	p.take([]jitter.Piece{said(1, 20)}, 0)
	expect(t, p, "0x20 ")
	c.err = nil
	p.take([]jitter.Piece{said(1, 20)}, 0)
	expect(t, p, "1x20 ")
	if c.made != 2 || c.closed != 1 {
		t.Errorf("%d decoders made, %d closed", c.made, c.closed)
	}
}

func TestPlayerMerges(t *testing.T) {
	p, _ := newTestPlayer(t)
	next := said(10, 20)
	next.Merge = true
	p.take([]jitter.Piece{said(0, 20), next}, 0)
	dst := make(pcm.Frame, tick48)
	p.read(dst)
	if !slices.IsSorted(dst) || dst[0] != 0 || dst[tick48/2] < 480 || dst[tick48/2] > 520 || dst[tick48-1] < 990 {
		t.Errorf("%d, %d, %d at the beginning, middle and end, want a passage from 0 to 1000", dst[0], dst[tick48/2], dst[tick48-1])
	}
	p.take([]jitter.Piece{said(3, 20)}, 0)
	expect(t, p, "3x20 ")
}

func TestPlayerSilence(t *testing.T) {
	p, c := newTestPlayer(t)
	if tick := p.take([]jitter.Piece{{Kind: jitter.Silence, Duration: tick48}}, 0); tick.Voice {
		t.Errorf("tick %+v of silence", tick)
	}
	expect(t, p, "0x20 ")
	dtx := said(1, 20)
	dtx.Level = jitter.MaxLevel
	if tick := p.take([]jitter.Piece{dtx}, 0); tick.Voice || !tick.HasLevel || tick.Level != jitter.MaxLevel {
		t.Errorf("tick %+v of a silent sender", tick)
	}
	if tick := p.take([]jitter.Piece{{Kind: jitter.Conceal, Duration: tick48}}, 0); tick.Voice {
		t.Errorf("tick %+v: nothing was said that could be concealed", tick)
	}
	if c.decodes != 0 {
		t.Errorf("%d decodes", c.decodes)
	}
}

// TestPlayerAllocates nothing per Tick, and uses up what it decodes.
func TestPlayerAllocates(t *testing.T) {
	p := newPlayer(&g711.PCMU, slog.New(slog.DiscardHandler))
	pieces := []jitter.Piece{{Kind: jitter.Play, Duration: 160, Level: 30, Payload: make([]byte, 160)}}
	lost := []jitter.Piece{{Kind: jitter.Conceal, Duration: 160}}
	dst := make(pcm.Frame, g711.PCMU.Format.Samples20())
	n := 0
	step := func() {
		p.take(pieces, 0)
		if n++; n%10 == 0 {
			p.take(lost, 0)
		}
		p.read(dst)
	}
	step()
	if got := testing.AllocsPerRun(200, step); got != 0 {
		t.Errorf("%v allocations per Tick, want 0", got)
	}
	if len(p.fifo) != 0 {
		t.Errorf("%d samples left over", len(p.fifo))
	}
}

// TestPlayerKnowsPauses of Opus, and that a packet which restores another says
// nothing of its own.
func TestPlayerKnowsPauses(t *testing.T) {
	p := newPlayer(&opus.Mono, slog.New(slog.DiscardHandler))
	speaks := jitter.Piece{Kind: jitter.Play, Duration: 960, Level: unknownLevel, Payload: []byte{0x78, 0xff, 1}}
	pauses := jitter.Piece{Kind: jitter.Play, Duration: 960, Level: unknownLevel, Payload: []byte{0x78, 0x3f, 1}}
	lost := jitter.Piece{Kind: jitter.Conceal, Duration: 960}
	tells := pauses
	tells.Level = 40
	quiet := bridge.AudioTick{Rate: 48000, Voice: true, Quiet: true}
	loud := bridge.AudioTick{Rate: 48000, Voice: true}
	for i, tt := range []struct {
		pieces []jitter.Piece
		want   bridge.AudioTick
	}{
		{[]jitter.Piece{pauses}, quiet},
		{[]jitter.Piece{lost}, quiet},
		{[]jitter.Piece{speaks}, loud},
		{[]jitter.Piece{lost}, loud},
		{[]jitter.Piece{pauses, speaks}, loud},
		{nil, loud}, // the packet goes on
		{[]jitter.Piece{pauses}, quiet},
		{[]jitter.Piece{tells}, bridge.AudioTick{Rate: 48000, Voice: true, HasLevel: true, Level: 40}},
	} {
		if got := p.take(tt.pieces, 0); got != tt.want {
			t.Errorf("%d: %+v, want %+v", i, got, tt.want)
		}
	}
}

// TestPlayerJudgesNoise that it hears now and then, of which CELT says only how
// it changes: a decoder that begins anew takes it for 15 dB louder.
func TestPlayerJudgesNoise(t *testing.T) {
	e, err := opus.Mono.NewEncoder(codecs.AudioOptions{Bitrate: 128_000}) // CELT
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	p := newPlayer(&opus.Mono, slog.New(slog.DiscardHandler))
	defer p.close()
	hush, frame := noise{rand.New(rand.NewPCG(1, 1)), -75}, make(pcm.Frame, tick48)
	for i := range 200 {
		hush.Read(frame)
		payload, err := e.Encode(nil, frame)
		if err != nil {
			t.Fatal(err)
		}
		if payload[0]>>3 < 16 {
			t.Fatalf("configuration %d, want CELT", payload[0]>>3)
		}
		p.take([]jitter.Piece{{Kind: jitter.Play, Duration: tick48, Level: unknownLevel, Payload: payload}}, 0)
		if i < 40 || i%8 != 0 {
			continue
		}
		p.read(frame)
		if level := mix.Level(frame); level < 73 {
			t.Errorf("tick %d: noise of level 75 is taken for %d", i, level)
		}
	}
}
