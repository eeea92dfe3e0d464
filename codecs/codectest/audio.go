package codectest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// Audio runs the suite against c. minSNR is the fidelity, in decibels, that a
// one-second sweep must keep through an encode and a decode.
func Audio(t *testing.T, c codecs.Audio, minSNR float64) {
	s := audio{c, minSNR}
	t.Run("RoundTrip", s.roundTrip)
	t.Run("Deterministic", s.deterministic)
	t.Run("Append", s.appends)
	t.Run("Loss", s.loss)
	t.Run("LongLoss", s.longLoss)
	t.Run("Recover", s.recovers)
	t.Run("Garbage", s.garbage)
	t.Run("Close", s.close)
	t.Run("NoAlloc", s.noAlloc)
}

type audio struct {
	codecs.Audio
	minSNR float64
}

func (s audio) open(t *testing.T) (codecs.AudioEncoder, codecs.AudioDecoder) {
	t.Helper()
	enc, err := s.NewEncoder(codecs.AudioOptions{})
	if err != nil {
		t.Fatalf("NewEncoder: %v", err)
	}
	dec, err := s.NewDecoder()
	if err != nil {
		t.Fatalf("NewDecoder: %v", err)
	}
	t.Cleanup(func() { _, _ = enc.Close(), dec.Close() })
	return enc, dec
}

// encode returns src as packets of 20 ms.
func (s audio) encode(t testing.TB, enc codecs.AudioEncoder, src pcm.Frame) [][]byte {
	t.Helper()
	var packets [][]byte
	for frame := range slices.Chunk(src, s.Format.Samples20()) {
		p, err := enc.Encode(nil, frame)
		if err != nil {
			t.Fatalf("Encode: %v", err)
		}
		packets = append(packets, p)
	}
	return packets
}

func (s audio) decode(t *testing.T, dec codecs.AudioDecoder, packets ...[]byte) pcm.Frame {
	t.Helper()
	var out pcm.Frame
	for _, p := range packets {
		var err error
		if out, err = dec.Decode(out, p); err != nil {
			t.Fatalf("Decode: %v", err)
		}
	}
	return out
}

func (s audio) roundTrip(t *testing.T) {
	enc, dec := s.open(t)
	want := Sweep(s.Format)
	got := s.decode(t, dec, s.encode(t, enc, want)...)
	if len(got) != len(want) {
		t.Errorf("%d samples became %d", len(want), len(got))
	}
	if snr := SNR(want, got, s.Format.Samples20()); snr < s.minSNR {
		t.Errorf("SNR = %.1f dB, want at least %.1f", snr, s.minSNR)
	}
}

// deterministic verifies that equal options give interchangeable streams.
func (s audio) deterministic(t *testing.T) {
	a, _ := s.open(t)
	b, _ := s.open(t)
	for i, frame := range slices.Collect(slices.Chunk(Speech(s.Format), s.Format.Samples20())) {
		x, _ := a.Encode(nil, frame)
		y, _ := b.Encode(nil, frame)
		if !bytes.Equal(x, y) {
			t.Fatalf("packet %d differs between two encoders", i)
		}
	}
}

func (s audio) appends(t *testing.T) {
	enc, dec := s.open(t)
	src := Sweep(s.Format)[:s.Format.Samples20()]
	packet, err := enc.Encode([]byte("head"), src)
	if err != nil || !bytes.HasPrefix(packet, []byte("head")) {
		t.Fatalf("Encode = % x, %v; want it behind what was there", packet, err)
	}
	head := pcm.Frame{1, 2, 3}
	got, err := dec.Decode(head, packet[4:])
	if err != nil || !slices.Equal(got[:3], head) || len(got) != 3+len(src) {
		t.Errorf("Decode = %d samples, %v; want 20 ms behind what was there", len(got), err)
	}
	if got, err = dec.Decode(head, nil); err != nil || !slices.Equal(got[:3], head) || len(got) != 3+len(src) {
		t.Errorf("Decode(lost) = %d samples, %v; want 20 ms behind what was there", len(got), err)
	}
}

// loss verifies that one lost packet in a tone leaves neither a hole nor a click.
func (s audio) loss(t *testing.T) {
	enc, dec := s.open(t)
	if got := s.decode(t, dec, nil); len(got) != s.Format.Samples20() {
		t.Errorf("loss before anything arrived: %d samples, want 20 ms", len(got))
	}
	// 230 Hz does not repeat within 20 ms: concealment must find its period.
	src := tone(s.Format, 230)
	packets := s.encode(t, enc, src)
	before := s.decode(t, dec, packets[:20]...)
	hidden := s.decode(t, dec, nil)
	after := s.decode(t, dec, packets[21:]...)
	if got, want := loudness(hidden), loudness(src); got < want/2 || got > want*1.5 {
		t.Errorf("loudness of the concealment = %.0f, want about %.0f", got, want)
	}
	all := slices.Concat(before[len(before)/2:], hidden, after)
	if got, want := steepest(all, s.Format.Channels), steepest(src, s.Format.Channels); got > 2*want {
		t.Errorf("step between neighbors = %d, in the tone itself %d: a click", got, want)
	}
}

// longLoss verifies that concealment does not hum for ever, and that sound
// comes back without a click.
func (s audio) longLoss(t *testing.T) {
	enc, dec := s.open(t)
	src := tone(s.Format, 230)
	packets := s.encode(t, enc, src)
	out := s.decode(t, dec, packets[:20]...)
	out = append(out, s.decode(t, dec, make([][]byte, 20)...)...)
	if got, want := loudness(out[len(out)-s.Format.Samples20():]), loudness(src); got > want/4 {
		t.Errorf("loudness after 400 ms of loss = %.0f, want below a quarter of %.0f", got, want)
	}
	out = append(out, s.decode(t, dec, packets[40:]...)...)
	if got, want := steepest(out[s.Format.Samples20():], s.Format.Channels), steepest(src, s.Format.Channels); got > 2*want {
		t.Errorf("step between neighbors = %d, in the tone itself %d: a click", got, want)
	}
	if got, want := loudness(out[len(out)-s.Format.Samples20():]), loudness(src); got < want/1.5 {
		t.Errorf("loudness after the loss = %.0f, want %.0f", got, want)
	}
}

// recovers verifies that a codec with redundancy puts 20 ms in the place of 20 ms.
func (s audio) recovers(t *testing.T) {
	enc, dec := s.open(t)
	r, ok := dec.(codecs.Recoverer)
	if !ok {
		t.Skip("no redundancy in this codec")
	}
	packets := s.encode(t, enc, Speech(s.Format))
	s.decode(t, dec, packets[:20]...)
	got, err := r.Recover(nil, packets[21])
	if err != nil || len(got) != s.Format.Samples20() {
		t.Errorf("Recover = %d samples, %v; want 20 ms", len(got), err)
	}
	if _, err := r.Recover(nil, []byte{}); !errors.Is(err, codecs.ErrCorrupt) {
		t.Errorf("Recover(empty packet) = %v, want codecs.ErrCorrupt", err)
	}
}

// garbage verifies that foreign bytes cause nothing but codecs.ErrCorrupt and
// do not break the decoder for what follows.
func (s audio) garbage(t *testing.T) {
	enc, dec := s.open(t)
	if _, err := dec.Decode(nil, []byte{}); !errors.Is(err, codecs.ErrCorrupt) {
		t.Errorf("Decode(empty packet) = %v, want codecs.ErrCorrupt", err)
	}
	src := Sweep(s.Format)
	packets := s.encode(t, enc, src)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		var junk []byte
		if i%2 == 0 {
			junk = make([]byte, 1+rng.IntN(300))
			for i := range junk {
				junk[i] = byte(rng.Uint32())
			}
		} else {
			junk = bytes.Clone(packets[rng.IntN(len(packets))])
			junk[rng.IntN(len(junk))] ^= 1 << rng.IntN(8)
			junk = junk[:1+rng.IntN(len(junk))]
		}
		_, err := dec.Decode(nil, junk)
		wantCorrupt(t, "Decode(garbage)", err)
	}
	got := s.decode(t, dec, packets...)
	half := len(got) / 2
	if snr := SNR(src[half:], got[half:], s.Format.Samples20()); snr < s.minSNR-3 {
		t.Errorf("SNR after garbage = %.1f dB, want about %.1f", snr, s.minSNR)
	}
}

func (s audio) close(t *testing.T) {
	enc, dec := s.open(t)
	closeTwice(t, enc, dec)
	_, err := enc.Encode(nil, make(pcm.Frame, s.Format.Samples20()))
	wantClosed(t, "Encode", err)
	for _, packet := range [][]byte{nil, {}, {1, 2, 3, 4}} {
		_, err = dec.Decode(nil, packet)
		wantClosed(t, "Decode", err)
	}
	if r, ok := dec.(codecs.Recoverer); ok {
		_, err = r.Recover(nil, []byte{1, 2, 3, 4})
		wantClosed(t, "Recover", err)
	}
}

func (s audio) noAlloc(t *testing.T) {
	enc, dec := s.open(t)
	packets := s.encode(t, enc, Speech(s.Format))
	src := Speech(s.Format)[:s.Format.Samples20()]
	buf := make([]byte, 0, 4096)
	noAlloc(t, "Encode", func() { _, _ = enc.Encode(buf, src) })
	frame := make(pcm.Frame, 0, 6*s.Format.Samples20())
	i := 0
	noAlloc(t, "Decode", func() { _, _ = dec.Decode(frame, packets[i%len(packets)]); i++ })
	noAlloc(t, "Decode(lost)", func() { _, _ = dec.Decode(frame, nil) })
	if r, ok := dec.(codecs.Recoverer); ok {
		noAlloc(t, "Recover", func() { _, _ = r.Recover(frame, packets[i%len(packets)]); i++ })
	}
}

// BenchmarkAudio measures c on 20 ms of speech per operation.
func BenchmarkAudio(b *testing.B, c codecs.Audio, o codecs.AudioOptions) {
	enc, err := c.NewEncoder(o)
	if err != nil {
		b.Fatal(err)
	}
	defer enc.Close()
	dec, err := c.NewDecoder()
	if err != nil {
		b.Fatal(err)
	}
	defer dec.Close()
	frames := slices.Collect(slices.Chunk(Speech(c.Format), c.Format.Samples20()))
	packets := audio{Audio: c}.encode(b, enc, Speech(c.Format))
	buf, out := make([]byte, 0, 4096), make(pcm.Frame, 0, 6*c.Format.Samples20())
	run := func(name string, f func(i int)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f(i % len(frames))
			}
		})
	}
	run("Encode", func(i int) { _, _ = enc.Encode(buf, frames[i]) })
	run("Decode", func(i int) { _, _ = dec.Decode(out, packets[i]) })
	run("Conceal", func(int) { _, _ = dec.Decode(out, nil) })
}
