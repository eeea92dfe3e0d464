package codectest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/yuv"
)

// Video runs the suite against c. minPSNR is the fidelity, in decibels, that
// the scene keeps on average at 320x180, 30 pictures a second and 500 kbit/s.
func Video(t *testing.T, c codecs.Video, minPSNR float64) {
	s := video{c, minPSNR}
	t.Run("RoundTrip", s.roundTrip)
	t.Run("Append", s.appends)
	t.Run("KeyOnDemand", s.keyOnDemand)
	t.Run("KeyUnderPressure", s.keyUnderPressure)
	t.Run("SetBitrate", s.setBitrate)
	t.Run("KeepAll", s.keepAll)
	t.Run("Options", s.options)
	t.Run("Sizes", s.sizes)
	t.Run("Windows", s.windows)
	t.Run("StartWithoutKey", s.startWithoutKey)
	t.Run("TruncatedKey", s.truncatedKey)
	t.Run("SizeChange", s.sizeChange)
	t.Run("Garbage", s.garbage)
	t.Run("Close", s.close)
	t.Run("NoAlloc", s.noAlloc)
}

type video struct {
	codecs.Video
	minPSNR float64
}

// standard is what most of the suite encodes.
var standard = codecs.VideoOptions{Width: 320, Height: 180, FrameRate: 30, Bitrate: 500_000}

func (s video) encoder(t testing.TB, o codecs.VideoOptions) codecs.VideoEncoder {
	t.Helper()
	enc, err := s.NewEncoder(o)
	if err != nil {
		t.Fatalf("NewEncoder(%+v): %v", o, err)
	}
	t.Cleanup(func() { _ = enc.Close() })
	return enc
}

func (s video) decoder(t testing.TB) codecs.VideoDecoder {
	t.Helper()
	dec, err := s.NewDecoder()
	if err != nil {
		t.Fatalf("NewDecoder: %v", err)
	}
	t.Cleanup(func() { _ = dec.Close() })
	return dec
}

func encode(t testing.TB, enc codecs.VideoEncoder, pic *yuv.Picture, key bool) (unit []byte, isKey bool) {
	t.Helper()
	unit, isKey, err := enc.Encode(nil, pic, key)
	if err != nil {
		t.Fatalf("Encode: %v", err)
	}
	return unit, isKey
}

// stream encodes n pictures of the scene of o's size; the first is a key frame.
func (s video) stream(t testing.TB, o codecs.VideoOptions, n int) [][]byte {
	t.Helper()
	o.KeepAll = true
	enc, scene := s.encoder(t, o), NewScene(o.Width, o.Height)
	var units [][]byte
	for i := range n {
		unit, _ := encode(t, enc, scene.Picture(i), false)
		units = append(units, unit)
	}
	return units
}

// wantPicture decodes unit and fails t unless the result looks like want.
func (s video) wantPicture(t *testing.T, dec codecs.VideoDecoder, unit []byte, want *yuv.Picture) float64 {
	t.Helper()
	got, err := dec.Decode(unit)
	switch {
	case err != nil:
		t.Fatalf("Decode: %v", err)
	case got == nil:
		t.Fatal("Decode: no picture")
	case got.Width != want.Width || got.Height != want.Height:
		t.Fatalf("%dx%d became %dx%d", want.Width, want.Height, got.Width, got.Height)
	case !got.Whole():
		t.Fatal("planes do not hold the decoded picture")
	}
	psnr := yuv.PSNR(got, want)
	if psnr < s.minPSNR-10 {
		t.Fatalf("PSNR of one picture = %.1f dB, want at least %.1f", psnr, s.minPSNR-10)
	}
	return psnr
}

func (s video) roundTrip(t *testing.T) {
	o := standard
	o.KeepAll = true
	enc, dec, scene := s.encoder(t, o), s.decoder(t), NewScene(o.Width, o.Height)
	const pictures = 60
	sum := 0.0
	for i := range pictures {
		pic := scene.Picture(i)
		unit, isKey := encode(t, enc, pic, false)
		if isKey != (i == 0) {
			t.Errorf("picture %d: key = %v", i, isKey)
		}
		if got := s.KeyFrame(unit); got != isKey {
			t.Errorf("picture %d: KeyFrame = %v, the encoder said %v", i, got, isKey)
		}
		sum += s.wantPicture(t, dec, unit, pic)
	}
	t.Logf("average PSNR = %.1f dB", sum/pictures)
	if got := sum / pictures; got < s.minPSNR {
		t.Errorf("average PSNR = %.1f dB, want at least %.1f", got, s.minPSNR)
	}
}

func (s video) appends(t *testing.T) {
	enc, dec := s.encoder(t, standard), s.decoder(t)
	pic := NewScene(standard.Width, standard.Height).Picture(0)
	unit, _, err := enc.Encode([]byte("head"), pic, false)
	if err != nil || !bytes.HasPrefix(unit, []byte("head")) {
		t.Fatalf("Encode: %v; want the unit behind what was there", err)
	}
	s.wantPicture(t, dec, unit[4:], pic)
}

// keyOnDemand asks for key frames in different rhythms; a decoder can begin at
// each of them.
func (s video) keyOnDemand(t *testing.T) {
	enc, scene := s.encoder(t, standard), NewScene(standard.Width, standard.Height)
	wanted := map[int]bool{0: true, 1: true, 2: true, 10: true, 25: true, 26: true, 40: true}
	for i := range 45 {
		pic := scene.Picture(i)
		unit, isKey := encode(t, enc, pic, wanted[i] && i > 0)
		if isKey != wanted[i] || isKey != s.KeyFrame(unit) {
			t.Errorf("picture %d: key = %v, KeyFrame = %v, want %v", i, isKey, s.KeyFrame(unit), wanted[i])
		}
		if isKey {
			s.wantPicture(t, s.decoder(t), unit, pic)
		}
	}
}

// keyUnderPressure asks for key frames when the rate control would rather drop
// pictures.
func (s video) keyUnderPressure(t *testing.T) {
	o := standard
	o.Bitrate = 20_000
	enc, scene := s.encoder(t, o), NewScene(o.Width, o.Height)
	dropped := 0
	for i := range 90 {
		key := i%7 == 3
		unit, isKey := encode(t, enc, scene.Picture(3*i), key)
		if key && !isKey {
			t.Fatalf("picture %d: a key frame was asked for and did not come", i)
		}
		if len(unit) == 0 {
			dropped++
			if isKey {
				t.Errorf("picture %d is an empty key frame", i)
			}
		}
	}
	if dropped == 0 {
		t.Error("no picture was dropped: the test puts no pressure on the rate control")
	}
}

// setBitrate changes the target and measures what comes after a second of
// adaptation.
func (s video) setBitrate(t *testing.T) {
	enc, scene := s.encoder(t, standard), NewScene(standard.Width, standard.Height)
	n := 0
	pass := func(pictures int) (bps int) {
		size := 0
		for range pictures {
			unit, _ := encode(t, enc, scene.Picture(n), false)
			size += len(unit)
			n++
		}
		return size * 8 * standard.FrameRate / pictures
	}
	for _, want := range []int{300_000, 120_000, 240_000, 80_000} {
		if err := enc.SetBitrate(want); err != nil {
			t.Fatal(err)
		}
		pass(45)
		got := pass(90)
		t.Logf("target %d, reached %d bit/s", want, got)
		if got < want*3/4 || got > want*5/4 {
			t.Errorf("%d bit/s, want %d within a quarter", got, want)
		}
	}
	if err := enc.SetBitrate(0); err == nil {
		t.Error("SetBitrate(0) was accepted")
	}
}

func (s video) keepAll(t *testing.T) {
	o := standard
	o.Bitrate, o.KeepAll = 20_000, true
	enc, scene := s.encoder(t, o), NewScene(o.Width, o.Height)
	for i := range 60 {
		if unit, _ := encode(t, enc, scene.Picture(3*i), false); len(unit) == 0 {
			t.Fatalf("picture %d was dropped in spite of KeepAll", i)
		}
	}
}

func (s video) options(t *testing.T) {
	for name, change := range map[string]func(*codecs.VideoOptions){
		"no size":      func(o *codecs.VideoOptions) { o.Width, o.Height = 0, 0 },
		"odd":          func(o *codecs.VideoOptions) { o.Width = 321 },
		"negative":     func(o *codecs.VideoOptions) { o.Height = -180 },
		"too large":    func(o *codecs.VideoOptions) { o.Width, o.Height = 2048, 1152 },
		"too small":    func(o *codecs.VideoOptions) { o.Width, o.Height = 8, 8 },
		"no rate":      func(o *codecs.VideoOptions) { o.FrameRate = 0 },
		"no bitrate":   func(o *codecs.VideoOptions) { o.Bitrate = 0 },
		"minus slices": func(o *codecs.VideoOptions) { o.MaxSlice = -1 },
	} {
		o := standard
		change(&o)
		if enc, err := s.NewEncoder(o); err == nil {
			_ = enc.Close()
			t.Errorf("%s: %+v was accepted", name, o)
		}
	}
	enc := s.encoder(t, standard)
	short := yuv.New(320, 180)
	short.Y = short.Y[:len(short.Y)-1]
	for name, pic := range map[string]*yuv.Picture{"other size": yuv.New(160, 90), "short plane": short} {
		if _, _, err := enc.Encode(nil, pic, false); err == nil {
			t.Errorf("%s: the picture was accepted", name)
		}
	}
}

// sizes goes through shapes that are not multiples of a macroblock, upright
// ones, and the largest.
func (s video) sizes(t *testing.T) {
	for _, size := range []struct{ w, h int }{{16, 16}, {18, 34}, {426, 240}, {180, 320}, {768, 448}, {1080, 1920}, {1920, 1080}} {
		o := standard
		o.Width, o.Height, o.Bitrate = size.w, size.h, 4_000_000
		enc, dec, scene := s.encoder(t, o), s.decoder(t), NewScene(size.w, size.h)
		for i := range 2 {
			pic := scene.Picture(i)
			unit, _ := encode(t, enc, pic, false)
			s.wantPicture(t, dec, unit, pic)
		}
	}
}

// windows encodes a part of a larger picture, whose rows lie apart.
func (s video) windows(t *testing.T) {
	canvas := NewScene(640, 360).Picture(0)
	w := canvas.Window(100, 60, standard.Width, standard.Height)
	unit, _ := encode(t, s.encoder(t, standard), &w, false)
	s.wantPicture(t, s.decoder(t), unit, &w)
}

func (s video) startWithoutKey(t *testing.T) {
	units := s.stream(t, standard, 6)
	dec := s.decoder(t)
	for i, unit := range units[1:] {
		if pic, err := dec.Decode(unit); !errors.Is(err, codecs.ErrCorrupt) || pic != nil {
			t.Errorf("unit %d without a key frame: %v, want codecs.ErrCorrupt", i+1, err)
		}
	}
	s.wantPicture(t, dec, units[0], NewScene(standard.Width, standard.Height).Picture(0))
}

// truncatedKey cuts a key frame at many places. Whatever the decoder makes of
// it, it shows nothing that is built upon, until the next key frame.
func (s video) truncatedKey(t *testing.T) {
	units := s.stream(t, standard, 3)
	scene := NewScene(standard.Width, standard.Height)
	dec := s.decoder(t)
	for cut := 0; cut < len(units[0])*9/10; cut += 1 + len(units[0])/40 {
		if _, err := dec.Decode(units[0][:cut]); err == nil {
			// Parameter sets alone are sound; they come before any picture.
			if s.KeyFrame(units[0][:cut]) {
				t.Errorf("key frame cut to %d of %d bytes was accepted", cut, len(units[0]))
			}
		} else {
			wantCorrupt(t, "Decode(truncated)", err)
		}
		if _, err := dec.Decode(units[1]); !errors.Is(err, codecs.ErrCorrupt) {
			t.Errorf("after a key frame cut to %d bytes: %v, want codecs.ErrCorrupt", cut, err)
		}
	}
	for i, unit := range units {
		s.wantPicture(t, dec, unit, scene.Picture(i))
	}
}

func (s video) sizeChange(t *testing.T) {
	small := standard
	small.Width, small.Height = 160, 90
	a, b := s.stream(t, standard, 4), s.stream(t, small, 4)
	dec := s.decoder(t)
	for i := range 2 {
		s.wantPicture(t, dec, a[i], NewScene(320, 180).Picture(i))
	}
	for i := range 2 {
		s.wantPicture(t, dec, b[i], NewScene(160, 90).Picture(i))
	}
	_, err := dec.Decode(a[2]) // of the other stream: nothing to expect, but no crash
	wantCorrupt(t, "Decode(other stream)", err)
	s.wantPicture(t, dec, a[0], NewScene(320, 180).Picture(0))
}

// garbage feeds random, cut and altered units, and checks after each batch that
// a key frame sets things right.
func (s video) garbage(t *testing.T) {
	units := s.stream(t, standard, 12)
	scene := NewScene(standard.Width, standard.Height)
	dec := s.decoder(t)
	rng := rand.New(rand.NewPCG(5, 6))
	for _, empty := range [][]byte{nil, {}, {0}, {0, 0, 1}, {0, 0, 0, 1}} {
		if _, err := dec.Decode(empty); !errors.Is(err, codecs.ErrCorrupt) {
			t.Errorf("Decode(% x) = %v, want codecs.ErrCorrupt", empty, err)
		}
	}
	for batch := range 40 {
		s.wantPicture(t, dec, units[0], scene.Picture(0))
		for range 10 {
			junk := bytes.Clone(units[rng.IntN(len(units))])
			switch batch % 4 {
			case 0:
				for i := range junk {
					junk[i] = byte(rng.Uint32())
				}
			case 1:
				junk = junk[:rng.IntN(len(junk))]
			case 2:
				for range 1 + rng.IntN(8) {
					junk[rng.IntN(len(junk))] ^= 1 << rng.IntN(8)
				}
			case 3: // early bytes matter most
				junk[rng.IntN(min(40, len(junk)))] = byte(rng.Uint32())
			}
			s.KeyFrame(junk)
			_, err := dec.Decode(junk)
			wantCorrupt(t, "Decode(garbage)", err)
		}
	}
	for i, unit := range units {
		s.wantPicture(t, dec, unit, scene.Picture(i))
	}
}

func (s video) close(t *testing.T) {
	enc, dec := s.encoder(t, standard), s.decoder(t)
	pic := yuv.New(standard.Width, standard.Height)
	unit, _ := encode(t, enc, pic, false)
	if _, err := dec.Decode(unit); err != nil {
		t.Fatal(err)
	}
	closeTwice(t, enc, dec)
	_, _, err := enc.Encode(nil, pic, false)
	wantClosed(t, "Encode", err)
	wantClosed(t, "SetBitrate", enc.SetBitrate(100_000))
	_, err = dec.Decode(unit)
	wantClosed(t, "Decode", err)
	_, err = dec.Decode(nil)
	wantClosed(t, "Decode(nil)", err)
}

func (s video) noAlloc(t *testing.T) {
	scene := NewScene(standard.Width, standard.Height)
	var pics []*yuv.Picture
	for i := range 60 {
		pics = append(pics, scene.Picture(i))
	}
	enc := s.encoder(t, standard)
	buf := make([]byte, 0, 1<<20)
	i := 0
	noAlloc(t, "Encode", func() { _, _, _ = enc.Encode(buf, pics[i%len(pics)], i%20 == 0); i++ })
	noAlloc(t, "SetBitrate", func() { _ = enc.SetBitrate(standard.Bitrate) })

	units := s.stream(t, standard, 60)
	dec := s.decoder(t)
	if _, err := dec.Decode(units[0]); err != nil {
		t.Fatal(err)
	}
	i = 1
	noAlloc(t, "Decode", func() {
		if pic, err := dec.Decode(units[i]); pic == nil || err != nil {
			t.Fatalf("unit %d: %v", i, err)
		}
		i++
	})
	noAlloc(t, "KeyFrame", func() { s.KeyFrame(units[0]); s.KeyFrame(units[1]) })
	if _, err := dec.Decode([]byte("no key frame any more")); err == nil {
		t.Fatal("garbage was accepted")
	}
	noAlloc(t, "Decode while waiting", func() { _, _ = dec.Decode(units[1]) })
}
