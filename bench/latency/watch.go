package latency

import (
	"math"
	"sync"
	"time"

	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
)

// A watch pairs departures with arrivals. There is never more than one on the
// way: they are further apart than any latency that is worth a figure.
type watch struct {
	mu      sync.Mutex
	on      bool
	left    time.Time // zero: nothing is on the way
	sent    int
	samples []time.Duration
	ticks   int  // of beep
	was     bool // what sentPicture saw last
	audible bool // what listen heard last
	heard   pcm.Frame
}

func newWatch() *watch { return &watch{} }

// begin forgets everything so far.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on, w.left, w.sent, w.samples = true, time.Time{}, 0, nil
}

func (w *watch) depart(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.on {
		w.left = at
		w.sent++
	}
}

func (w *watch) arrive(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.on && !w.left.IsZero() {
		w.samples = append(w.samples, at.Sub(w.left))
		w.left = time.Time{}
	}
}

func (w *watch) figures() Figures {
	w.mu.Lock()
	defer w.mu.Unlock()
	return figures(w.sent, w.samples)
}

// The rhythm of beeps, in ticks of 20 ms, and of flashes. A beep is long
// enough to be spoken for, and odd so that it drifts through the server's ticks.
const (
	beepEvery = 47
	beepTicks = 10
	beepHz    = 1000

	flashEvery = 937 * time.Millisecond
	flashFor   = 400 * time.Millisecond
)

// beep writes the next tick: quiet noise, or a tone. It departs with the
// packet that carries its beginning, which leaves right after.
func (w *watch) beep(dst pcm.Frame) {
	phase := w.ticks % beepEvery
	w.ticks++
	if phase >= beepTicks {
		for i := range dst {
			dst[i] = int16(i*7919%17 - 8)
		}
		return
	}
	for i := range dst {
		dst[i] = int16(12000 * math.Sin(2*math.Pi*beepHz*float64(i)/48000))
	}
	if phase == 0 {
		w.depart(time.Now())
	}
}

// loud is the mean of absolute samples above which there is a beep.
const loud = 1500

// listen looks for a beep in a packet of PCMU. The beginning may be anywhere in
// the packet: what lay before it had to wait for it and is no latency.
func (w *watch) listen(payload []byte, at time.Time) {
	var err error
	if w.heard, err = decode(w.heard[:0], payload); err != nil || len(w.heard) == 0 {
		return
	}
	onset := -1
	for i, s := range w.heard {
		if s > loud || s < -loud {
			onset = i
			break
		}
	}
	if onset < 0 {
		w.audible = false
		return
	}
	if !w.audible {
		w.arrive(at.Add(-time.Duration(onset) * time.Second / 8000))
	}
	w.audible = true
}

func decode(dst pcm.Frame, payload []byte) (pcm.Frame, error) {
	dec, err := g711.PCMU.NewDecoder()
	if err != nil {
		return dst, err
	}
	defer dec.Close()
	return dec.Decode(dst, payload)
}

// lit says whether the picture of time t is white.
func lit(t time.Duration) bool { return t%flashEvery < flashFor }

// flash paints white or dark grey.
func flash(dst *yuv.Picture, t time.Duration) {
	c := yuv.Color{Y: 40, U: 128, V: 128}
	if lit(t) {
		c.Y = 220
	}
	dst.Fill(c)
}

// sentPicture notes the departure of the first white picture.
func (w *watch) sentPicture(t time.Duration, at time.Time) {
	if now := lit(t); now != w.was {
		w.was = now
		if now {
			w.depart(at)
		}
	}
}

// An eye finds the place of the picture that flashes, and says when it turns
// white.
type eye struct {
	watch     *watch
	low, high [rows * columns]byte
	seen      int
	was       bool
}

const rows, columns = 18, 32

// look takes the next picture.
func (e *eye) look(p *bridge.SharedPicture) {
	best, swing := -1, 120
	var now [rows * columns]byte
	for i := range now {
		x, y := (i%columns*2+1)*p.Width/(2*columns), (i/columns*2+1)*p.Height/(2*rows)
		v := p.Y[y*p.StrideY+x]
		now[i] = v
		if e.seen == 0 {
			e.low[i], e.high[i] = v, v
		}
		e.low[i], e.high[i] = min(e.low[i], v), max(e.high[i], v)
		if s := int(e.high[i]) - int(e.low[i]); s > swing {
			best, swing = i, s
		}
	}
	e.seen++
	if e.seen%300 == 0 { // tiles move: forget where they were
		e.seen = 0
	}
	if best < 0 {
		return
	}
	lit := int(now[best]) > (int(e.high[best])+int(e.low[best]))/2
	if lit && !e.was {
		e.watch.arrive(p.Received)
	}
	e.was = lit
}
