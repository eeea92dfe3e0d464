package bridge_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
)

// caller is a participant made of codecs without a network between: it plays a
// tone and records what it hears, and shows a picture and keeps what it sees.
type caller struct {
	t     *testing.T
	codec *codecs.Audio
	enc   codecs.AudioEncoder
	dec   codecs.AudioDecoder // of what it says
	in    codecs.AudioDecoder // of what it hears

	mu      sync.Mutex
	voice   voice
	deaf    bool                // receives no audio
	options codecs.AudioOptions // of what it hears
	ticks   int
	decodes int
	said    pcm.Frame // as others can decode it
	heard   pcm.Frame // at the codec's rate
	sent    int       // calls of WriteAudio
	stall   time.Duration
	film
}

// voice is what a caller says.
type voice struct {
	hz, amplitude float64
	level         uint8
	hasLevel      bool
	pauses        bool // says so, without a level
	speaks        bool
}

// tone is a voice that is offered with its level.
func tone(hz, amplitude float64) voice {
	return voice{
		hz: hz, amplitude: amplitude, speaks: true, hasLevel: true,
		level: uint8(math.Round(-20 * math.Log10(amplitude/math.MaxInt16/math.Sqrt2))),
	}
}

// unmeasured is the same without.
func unmeasured(hz, amplitude float64) voice {
	return voice{hz: hz, amplitude: amplitude, speaks: true}
}

func newCaller(t *testing.T, codec *codecs.Audio) *caller {
	t.Helper()
	enc, err := codec.NewEncoder(codecs.AudioOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dec, err := codec.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	in, err := codec.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { enc.Close(); dec.Close(); in.Close() })
	return &caller{t: t, codec: codec, enc: enc, dec: dec, in: in}
}

// newCallers returns n who use G.711.
func newCallers(t *testing.T, n int) []*caller {
	t.Helper()
	cs := make([]*caller, n)
	for i := range cs {
		cs[i] = newCaller(t, &g711.PCMU)
	}
	return cs
}

// say changes what the caller says from the next tick on.
func (c *caller) say(v voice) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.voice = v
}

// listen forgets what was heard.
func (c *caller) listen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said, c.heard, c.sent, c.decodes = nil, nil, 0, 0
}

// amplitude returns how loud a tone is in what was heard since listen.
func (c *caller) amplitude(hz float64) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	var re, im float64
	for i, v := range c.heard {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / float64(c.codec.Format.Rate))
		re, im = re+float64(v)*cos, im+float64(v)*sin
	}
	return 2 * math.Hypot(re, im) / float64(max(1, len(c.heard)))
}

func (c *caller) counts() (ticks, decodes, sent int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ticks, c.decodes, c.sent
}

// stalls makes the next tick take long.
func (c *caller) stalls(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stall = d
}

func (c *caller) NextAudio() bridge.AudioTick {
	c.mu.Lock()
	defer c.mu.Unlock()
	time.Sleep(c.stall)
	c.stall = 0
	c.ticks++
	return bridge.AudioTick{
		Voice: c.voice.speaks, Rate: c.codec.Format.Rate,
		Level: c.voice.level, HasLevel: c.voice.hasLevel, Quiet: c.voice.pauses,
	}
}

func (c *caller) ReadAudio(dst pcm.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.decodes++
	rate := c.codec.Format.Rate
	said := make(pcm.Frame, rate/50)
	for i := range said {
		at := float64(c.ticks*len(said)+i) / float64(rate)
		said[i] = int16(c.voice.amplitude * math.Sin(2*math.Pi*c.voice.hz*at))
	}
	packet, err := c.enc.Encode(nil, said)
	if err != nil {
		c.t.Error(err)
	}
	got, err := c.dec.Decode(nil, packet)
	if err != nil {
		c.t.Error(err)
	}
	c.said = append(c.said, got...)
	copy(dst, got)
}

func (c *caller) AudioOut() (bridge.AudioSpec, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bridge.AudioSpec{Codec: c.codec, Options: c.options, Ticks: 1}, !c.deaf
}

func (c *caller) WriteAudio(payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent++
	if len(payload) == 0 {
		return
	}
	heard, err := c.in.Decode(c.heard, payload)
	if err != nil {
		c.t.Error(err)
	}
	c.heard = heard
}

// value returns a counter or gauge, or the number of observations of a
// histogram, summed over its labels unless one label's value is given.
func value(t *testing.T, reg *prometheus.Registry, name string, label ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum, found := 0.0, false
	for _, f := range families {
		if f.GetName() != "skybridge_bridge_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(label) > 0 && m.GetLabel()[0].GetValue() != label[0] {
				continue
			}
			found = true
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	if !found {
		t.Fatalf("no metric %s %v", name, label)
	}
	return sum
}
