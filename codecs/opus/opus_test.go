package opus_test

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/codectest"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// Opus is two codecs, and the options choose: the suite runs with both.
func TestMono(t *testing.T) { codectest.Audio(t, opus.Mono, 13) }

func TestMonoWithFEC(t *testing.T) {
	c := opus.Mono
	c.NewEncoder = func(o codecs.AudioOptions) (codecs.AudioEncoder, error) {
		o.Loss = 10
		return opus.Mono.NewEncoder(o)
	}
	codectest.Audio(t, c, 10)
}

// SILK is paid for where only SILK will do.
func TestCELTWhereItDoes(t *testing.T) {
	for _, test := range []struct {
		o    codecs.AudioOptions
		celt bool
	}{
		{codecs.AudioOptions{}, true},
		{codecs.AudioOptions{Bitrate: 32_000, Complexity: 10}, true},
		{codecs.AudioOptions{Bitrate: 64_000}, true},
		{codecs.AudioOptions{Bitrate: 24_000}, false},
		{codecs.AudioOptions{Loss: 1}, false},
		{codecs.AudioOptions{DTX: true}, false},
	} {
		for i, p := range encode(t, test.o, codectest.Speech(opus.Mono.Format)) {
			// RFC 6716, table 2: configurations from 16 on are CELT alone.
			if celt := len(p) > 1 && p[0]>>3 >= 16; celt != test.celt {
				t.Errorf("%+v, packet %d: CELT alone = %v, want %v", test.o, i, celt, test.celt)
				break
			}
		}
	}
}

func newEncoder(t testing.TB, o codecs.AudioOptions) codecs.AudioEncoder {
	t.Helper()
	enc, err := opus.Mono.NewEncoder(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = enc.Close() })
	return enc
}

func newDecoder(t testing.TB) codecs.AudioDecoder {
	t.Helper()
	dec, err := opus.Mono.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dec.Close() })
	return dec
}

// encode returns src as packets of 20 ms.
func encode(t testing.TB, o codecs.AudioOptions, src pcm.Frame) [][]byte {
	t.Helper()
	enc := newEncoder(t, o)
	var packets [][]byte
	for frame := range slices.Chunk(src, 960) {
		p, err := enc.Encode(nil, frame)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, p)
	}
	return packets
}

func decode(t testing.TB, dec codecs.AudioDecoder, packets ...[]byte) pcm.Frame {
	t.Helper()
	var out pcm.Frame
	for _, p := range packets {
		var err error
		if out, err = dec.Decode(out, p); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestBitrate(t *testing.T) {
	for _, want := range []int{16000, 32000, 64000} {
		size := 0
		for _, p := range encode(t, codecs.AudioOptions{Bitrate: want}, codectest.Speech(opus.Mono.Format)) {
			size += len(p)
		}
		if got := size * 8; got < want*6/10 || got > want*14/10 {
			t.Errorf("%d bit/s became %d", want, got)
		}
	}
}

func TestOptionsOutOfRange(t *testing.T) {
	for _, o := range []codecs.AudioOptions{{Complexity: 11}, {Loss: 101}, {Bitrate: -5}} {
		if _, err := opus.Mono.NewEncoder(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

func TestFrameSizes(t *testing.T) {
	enc, dec := newEncoder(t, codecs.AudioOptions{}), newDecoder(t)
	for _, samples := range []int{120, 240, 480, 960, 1920, 2880} {
		packet, err := enc.Encode(nil, make(pcm.Frame, samples))
		if err != nil {
			t.Fatalf("%d samples: %v", samples, err)
		}
		if got := decode(t, dec, packet); len(got) != samples {
			t.Errorf("%d samples became %d", samples, len(got))
		}
	}
	if _, err := enc.Encode(nil, make(pcm.Frame, 961)); err == nil || errors.Is(err, codecs.ErrCorrupt) {
		t.Errorf("961 samples: %v, want an error of the caller", err)
	}
}

// TestDTX verifies that silence costs nothing with DTX and something without.
func TestDTX(t *testing.T) {
	src := slices.Concat(codectest.Speech(opus.Mono.Format), make(pcm.Frame, 2*48000))
	for _, dtx := range []bool{false, true} {
		empty := 0
		for _, p := range encode(t, codecs.AudioOptions{DTX: dtx}, src) {
			if len(p) == 0 {
				empty++
			}
		}
		if dtx && empty < 70 || !dtx && empty > 0 {
			t.Errorf("DTX %v: %d of 100 silent packets are empty", dtx, empty)
		}
	}
}

// TestFEC loses every fifth packet and compares what the next one recovers with
// what concealment guesses, against a decoder that lost nothing.
func TestFEC(t *testing.T) {
	packets := encode(t, codecs.AudioOptions{Bitrate: 32000, Loss: 20}, codectest.Speech(opus.Mono.Format))
	want := decode(t, newDecoder(t), packets...)
	play := func(fec bool) float64 {
		dec := newDecoder(t)
		var got pcm.Frame
		for i, p := range packets {
			var err error
			switch {
			case i%5 != 4:
				got, err = dec.Decode(got, p)
			case fec && i+1 < len(packets):
				got, err = dec.(codecs.Recoverer).Recover(got, packets[i+1])
			default:
				got, err = dec.Decode(got, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return codectest.SNR(want, got, 1)
	}
	with, without := play(true), play(false)
	t.Logf("SNR with FEC %.1f dB, with concealment only %.1f dB", with, without)
	if with < without+3 {
		t.Errorf("FEC gains %.1f dB, want at least 3", with-without)
	}
}

// TestStereoIn decodes packets of libopus' own encoder with 440 Hz to the left
// and 880 Hz to the right: mono has both, at half their loudness.
func TestStereoIn(t *testing.T) {
	got := decode(t, newDecoder(t), stereoPackets(t)...)
	got = got[4*960:]
	a, b, silence := goertzel(got, 440), goertzel(got, 880), goertzel(got, 660)
	if a < 2000 || b < 2000 || a > 6000 || b > 6000 {
		t.Errorf("440 Hz at %.0f, 880 Hz at %.0f, want about 4096 each", a, b)
	}
	if silence > 400 {
		t.Errorf("660 Hz at %.0f, want nothing", silence)
	}
}

func stereoPackets(t testing.TB) [][]byte {
	t.Helper()
	b, err := os.ReadFile("testdata/stereo.packets") // each behind its length in two bytes
	if err != nil {
		t.Fatal(err)
	}
	var packets [][]byte
	for len(b) > 0 {
		n := int(binary.BigEndian.Uint16(b))
		packets = append(packets, b[2:2+n])
		b = b[2+n:]
	}
	return packets
}

// goertzel returns the amplitude of hz in f.
func goertzel(f pcm.Frame, hz float64) float64 {
	var re, im float64
	for i, s := range f {
		phase := 2 * math.Pi * hz * float64(i) / opus.Rate
		re += float64(s) * math.Cos(phase)
		im += float64(s) * math.Sin(phase)
	}
	return 2 * math.Hypot(re, im) / float64(len(f))
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0xf8, 0xff, 0xfe}) // a 20 ms CELT frame of silence
	for _, p := range stereoPackets(f)[:3] {
		f.Add(p)
	}
	for _, p := range encode(f, codecs.AudioOptions{Loss: 20}, codectest.Speech(opus.Mono.Format))[10:13] {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		dec := newDecoder(t)
		for range 2 { // the second time with state
			got, err := dec.Decode(nil, packet)
			if err != nil && !errors.Is(err, codecs.ErrCorrupt) {
				t.Fatalf("Decode: %v", err)
			}
			if p, parseErr := opus.Parse(packet); packet != nil && err == nil && (parseErr != nil || p.Samples != len(got)) {
				t.Errorf("decoded %d samples, parsed %d (%v)", len(got), p.Samples, parseErr)
			}
			if _, err := dec.(codecs.Recoverer).Recover(nil, packet); err != nil && !errors.Is(err, codecs.ErrCorrupt) {
				t.Fatalf("Recover: %v", err)
			}
		}
	})
}

func BenchmarkMono(b *testing.B) {
	b.Run("CELT", func(b *testing.B) { codectest.BenchmarkAudio(b, opus.Mono, codecs.AudioOptions{}) })
	b.Run("FEC", func(b *testing.B) { codectest.BenchmarkAudio(b, opus.Mono, codecs.AudioOptions{Loss: 10}) })
}

// BenchmarkDecoder compares what it takes to begin with another stream.
func BenchmarkDecoder(b *testing.B) {
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			d, err := opus.Mono.NewDecoder()
			if err != nil {
				b.Fatal(err)
			}
			d.Close()
		}
	})
	b.Run("reset", func(b *testing.B) {
		d := newDecoder(b).(codecs.Resetter)
		for b.Loop() {
			d.Reset()
		}
	})
}

func TestReset(t *testing.T) {
	packets := encode(t, codecs.AudioOptions{}, codectest.Speech(opus.Mono.Format))
	dec := newDecoder(t)
	decode(t, dec, packets[20:]...)
	if err := dec.(codecs.Resetter).Reset(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(decode(t, dec, packets...), decode(t, newDecoder(t), packets...)) {
		t.Error("a decoder that was reset differs from a new one")
	}
	dec.Close()
	if err := dec.(codecs.Resetter).Reset(); !errors.Is(err, codecs.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
