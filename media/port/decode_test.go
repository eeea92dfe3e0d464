package port_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/port"
)

// glass is a codec that pretends to be VP8. The second byte of an access unit
// is its number, which becomes the luma of the picture, or says what goes
// wrong.
type glass struct {
	mu                    sync.Mutex // guards what follows
	decodes, made, closed int
	slow                  time.Duration
}

const (
	corrupt = 254
	fatal   = 255
)

func (g *glass) codec() *codecs.Video {
	return &codecs.Video{
		Name:       "VP8",
		KeyFrame:   func(unit []byte) bool { return unit[0]&1 == 0 },
		NewDecoder: func() (codecs.VideoDecoder, error) { g.count(&g.made); return &pane{glass: g}, nil },
	}
}

func (g *glass) count(n *int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	*n++
}

func (g *glass) counts() [3]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return [3]int{g.decodes, g.made, g.closed}
}

type pane struct {
	glass *glass
	pic   *yuv.Picture
}

func (p *pane) Decode(unit []byte) (*yuv.Picture, error) {
	p.glass.count(&p.glass.decodes)
	time.Sleep(p.glass.slow)
	switch unit[1] {
	case corrupt:
		return nil, fmt.Errorf("glass: %w", codecs.ErrCorrupt)
	case fatal:
		return nil, errors.New("glass: shattered")
	}
	p.pic = yuv.New(16, 16)
	p.pic.Fill(yuv.Color{Y: unit[1], U: 128, V: 128})
	return p.pic, nil
}

func (p *pane) Close() error { p.glass.count(&p.glass.closed); return nil }

// A viewer is a port that shows what a source sends it.
type viewer struct {
	*port.Port
	glass glass
	wire  *wire
	seq   uint16
}

func newViewer(t *testing.T, want bool) *viewer {
	v := &viewer{Port: newPort(t, nil), wire: newWire(t)}
	s := screen(v.wire, "")
	s.Codec = v.glass.codec()
	v.SetVideo(s)
	if want {
		v.WantVideo(320, 180)
	}
	return v
}

// source sends a picture in one packet, 33 ms after the one before.
func (v *viewer) source(key bool, n byte) {
	head := byte(1)
	if key {
		head = 0
	}
	v.seq++
	v.VideoRTP(&rtp.Packet{
		Header:  rtp.Header{PayloadType: 97, SSRC: 9, SequenceNumber: v.seq, Timestamp: 3000 * uint32(v.seq), Marker: true},
		Payload: []byte{0x10, head, n},
	}, time.Now())
	time.Sleep(33 * time.Millisecond)
	synctest.Wait()
}

// shown returns the number of the picture that is shown, -1 if none is.
func (v *viewer) shown() int {
	p := v.Picture()
	if p == nil {
		return -1
	}
	defer p.Release()
	return int(p.Y[0])
}

func (v *viewer) asked() int { return len(feedback[*rtcp.PictureLossIndication](v.wire)) }

// TestNothingIsDecodedUnseen also asks for nothing, and keeps no decoder.
func TestNothingIsDecodedUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newViewer(t, false)
		for n := range byte(30) {
			v.source(n == 0, 20+n)
			v.NextAudio()
		}
		if got := v.glass.counts(); got != [3]int{} || v.asked() != 0 || v.shown() != -1 {
			t.Errorf("decodes, decoders, closed %v, %d requests, picture %d, want nothing", got, v.asked(), v.shown())
		}
		v.WantVideo(320, 180)
		if v.asked() != 1 {
			t.Errorf("%d requests once somebody looks, want 1", v.asked())
		}
		v.source(false, 60)
		if v.shown() != -1 {
			t.Errorf("picture %d is shown, which is no key frame", v.shown())
		}
		v.source(true, 61)
		v.source(false, 62)
		if v.shown() != 62 {
			t.Errorf("picture %d is shown, want 62", v.shown())
		}
		v.WantVideo(0, 0)
		synctest.Wait()
		v.source(true, 63)
		if got := v.glass.counts(); got != [3]int{2, 1, 1} || v.shown() != -1 {
			t.Errorf("decodes, decoders, closed %v, picture %d after nobody looks", got, v.shown())
		}
	})
}

func TestBrokenPictures(t *testing.T) {
	for _, how := range []byte{corrupt, fatal} {
		synctest.Test(t, func(t *testing.T) {
			v := newViewer(t, true)
			v.source(true, 20)
			time.Sleep(time.Second)
			before := v.asked()
			v.source(false, how)
			if v.asked() != before+1 {
				t.Errorf("%d requests for a key frame after a broken picture, want 1", v.asked()-before)
			}
			v.source(false, 30)
			if v.shown() != 20 {
				t.Errorf("picture %d is shown, want the last good one, 20", v.shown())
			}
			for n := range byte(30) { // a second without an answer
				v.source(false, 31+n)
				v.NextAudio()
			}
			if got := v.asked() - before; got != 3 {
				t.Errorf("%d requests in a second, want one each 500 ms", got)
			}
			v.source(true, 70)
			v.source(false, 71)
			if v.shown() != 71 {
				t.Errorf("picture %d is shown, want 71", v.shown())
			}
			got := v.glass.counts()
			if want := 1 + int(how-corrupt); got[1] != want {
				t.Errorf("%d decoders made, want %d", got[1], want)
			}
		})
	}
}

// TestSlowDecoder drops pictures rather than to fall behind for ever.
func TestSlowDecoder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newViewer(t, true)
		v.glass.slow = 100 * time.Millisecond
		for n := range 300 {
			v.source(n%10 == 0, byte(n%200))
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if v.shown() < 60 || v.shown() > 99 {
			t.Errorf("picture %d is shown 3 s after the last of 300, want one of the last 40", v.shown())
		}
		if got := v.glass.counts()[0]; got > 140 {
			t.Errorf("%d pictures decoded in 13 s by a decoder that takes 100 ms", got)
		}
	})
}

// TestStalePicture is not shown for ever.
func TestStalePicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newViewer(t, true)
		v.source(true, 20)
		time.Sleep(9 * time.Second)
		if v.shown() != 20 {
			t.Error("the picture is gone after 9 s")
		}
		time.Sleep(2 * time.Second)
		if v.shown() != -1 {
			t.Error("the picture is still there after 11 s")
		}
	})
}

// TestHoldVideo drops the picture, and asks for a key frame at resume.
func TestHoldVideo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newViewer(t, true)
		v.source(true, 20)
		s := screen(v.wire, "")
		s.Codec, s.Recv = v.glass.codec(), false
		v.SetVideo(s)
		if v.shown() != -1 {
			t.Error("a picture on hold")
		}
		time.Sleep(time.Second)
		if n := v.glass.counts(); n[1] != 1 || n[2] != 1 {
			t.Errorf("%d decoders made and %d closed on hold, want 1 and 1", n[1], n[2])
		}
		before := v.asked()
		r := *s
		r.Recv = true
		v.SetVideo(&r)
		if v.asked() != before+1 {
			t.Errorf("%d requests at resume, want 1", v.asked()-before)
		}
		v.source(true, 21)
		if v.shown() != 21 {
			t.Errorf("picture %d after resume, want 21", v.shown())
		}
	})
}

// TestPictureOutlivesPort: whoever holds a picture may look at it after Close.
func TestPictureOutlivesPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newViewer(t, true)
		v.source(true, 20)
		p := v.Picture()
		for n := range byte(20) {
			v.source(false, 30+n)
		}
		v.Close()
		if p.Y[0] != 20 {
			t.Errorf("the picture has become %d", p.Y[0])
		}
		p.Release()
		if got := v.glass.counts(); got[2] != got[1] {
			t.Errorf("%d of %d decoders closed", got[2], got[1])
		}
	})
}
