package bridge

import (
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/mix"
	"github.com/skybridge-media/skybridge/media/resample"
)

// rates are the sampling rates of codecs, in Hz, and so of bands.
var rates = [...]int{8000, 16000, 48000}

// bandOf returns the index in rates.
func bandOf(rate int) int {
	switch rate {
	case 8000:
		return 0
	case 16000:
		return 1
	default:
		return 2
	}
}

// A band is the mix at one sampling rate, for those whose codec has that rate.
//
// Each band is summed on its own, of voices at its rate, rather than one mix
// being converted for all: a voice whose codec has the listeners' rate reaches
// them without passing through a filter, whoever else is in the room, and
// somebody who joins with another rate changes nothing for those who are there.
// A room of one rate converts nothing. A mixed one converts each voice once per
// other rate, which is less than converting each mix.
type band struct {
	sum     *mix.Sum
	limiter mix.Limiter // of frame
	frame   pcm.Frame   // all voices
	before  pcm.Frame   // what frame was a tick ago, for encoders that begin now
	used    int         // the last tick in which somebody listened
}

// tune says that somebody listens in this tick at a rate.
func (a *audio) tune(rate int) {
	i := bandOf(rate)
	b := a.bands[i]
	if b == nil {
		n := rates[i] / 50
		b = &band{sum: mix.NewSum(n), frame: make(pcm.Frame, n), before: make(pcm.Frame, n)}
		a.bands[i] = b
	}
	if b.used == a.n {
		return
	}
	if b.used != a.n-1 {
		b.limiter = mix.Limiter{}
		clear(b.frame)
	}
	b.used = a.n
	b.sum.Reset()
}

// add makes e, who is heard, part of all bands in use.
func (a *audio) add(e *ear) {
	for i, b := range a.bands {
		if b != nil && b.used == a.n {
			b.sum.Add(e.said(i, a.n))
		}
	}
}

// complete fills the full mixes.
func (a *audio) complete() {
	for _, b := range a.bands {
		if b != nil && b.used == a.n {
			b.frame, b.before = b.before, b.frame
			b.sum.All(b.frame, &b.limiter)
		}
	}
}

// A rendition is one voice at a rate other than that of its codec.
type rendition struct {
	from      int
	resampler *resample.Resampler
	frame     pcm.Frame
	made      int // the last tick
}

// said returns what e said in tick n, at the rate of a band; nil is nothing.
// Once given out, frame must not change.
func (e *ear) said(band, n int) pcm.Frame {
	if e.frame == nil || band == e.band {
		return e.frame
	}
	r := &e.renditions[band]
	if r.made == n {
		return r.frame
	}
	anew := r.made != n-1 // nobody listened at this rate, or nothing was said
	if from := rates[e.band]; r.from != from {
		r.from = from
		r.resampler = resample.New(from, rates[band])
		r.frame = make(pcm.Frame, 0, rates[band]/50)
	} else if anew {
		r.resampler.Reset()
	}
	r.made = n
	r.frame = r.resampler.Process(r.frame[:0], e.frame)
	if anew {
		mix.FadeIn(r.frame) // it may begin in the middle of a wave
	}
	return r.frame
}
