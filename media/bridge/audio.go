package bridge

import (
	"slices"
	"time"

	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/mix"
	"github.com/skybridge-media/skybridge/media/vad"
)

const (
	samples = 960 // one Tick at 48 kHz, the most there is

	// tolerated is how late a tick may be before it counts as late. Receivers'
	// jitter buffers hide this much without anybody hearing it.
	tolerated = 5 * time.Millisecond

	// patience is how far behind the audio clock catches up. A process that
	// was stopped for longer begins anew: nobody wants to hear what was said.
	patience = 200 * time.Millisecond

	// videoPoll is how often, in ticks, legs are asked whether they receive
	// video while none does: a first picture is delayed by 100 ms at most.
	videoPoll = 5
)

// ear is what the audio goroutine knows of a leg.
type ear struct {
	voice  mix.Voice
	source vad.Source

	due      bool  // NextAudio announced something to decode
	known    bool  // its level, without decoding
	measured uint8 // level when it was decoded last
	quiet    bool  // it claims to pause, and nobody knows
	probe    probe
	band     int       // of what it says
	frame    pcm.Frame // what was decoded in this tick; nil if nothing was

	receives bool      // it is sent audio, as spec says
	spec     AudioSpec // what AudioOut said in this tick
	group    *encoder  // of the full mix; nil before the first use
	own      *mixMinus // while it is heard, and for a while after
	hears    *encoder  // what it is sent is of; nil: it is sent nothing
	epoch    int       // of the roster that had it last

	renditions [len(rates)]rendition // of frame, while others listen at other rates
}

// audio is the state of a bridge's audio goroutine, which is the only one to
// touch it, and allocates nothing while nobody comes, goes or begins to speak.
type audio struct {
	bridge *Bridge

	roster  *roster // the one that what follows was made for
	epoch   int
	audible []*leg
	voices  []*mix.Voice
	sources []*vad.Source

	selector *mix.Selector
	detector *vad.Detector
	bands    [len(rates)]*band
	groups   map[encoding]*encoder

	frames  []pcm.Frame // as many as were ever decoded in one tick
	used    int         // of them, in this tick
	unknown int         // legs whose level has to be found out, in this tick
	probed  int         // where in audible the last probe was
	encodes int         // in this tick
	n       int         // the tick

	news news
}

func newAudio(b *Bridge) *audio {
	return &audio{
		bridge:   b,
		roster:   &roster{},
		selector: mix.NewSelector(b.cfg.Heard),
		detector: vad.New(vad.Config{}),
		groups:   map[encoding]*encoder{},
		news:     news{notify: b.cfg.Notify},
	}
}

// runAudio is the audio goroutine. It lives while legs are attached.
func (b *Bridge) runAudio() {
	a := newAudio(b)
	defer a.close()
	first, slot := phases.take(time.Now())
	defer phases.give(slot)
	c := newClock(first, Tick, patience)
	defer c.close()
	m := b.cfg.Metrics
	for {
		began, late, ok := c.wait(b.stop)
		if !ok {
			return
		}
		m.ticks.Inc()
		m.tickLateness.Observe(late.Seconds())
		if late > tolerated {
			m.ticksLate.Inc()
			a.news.late++
		}
		b.tick.Lock()
		r := b.roster.Load()
		a.tick(r)
		if a.n%videoPoll == 0 && a.wantsVideo() {
			b.film()
		}
		b.tick.Unlock()
		a.news.tell(began)
		m.tickTime.Observe(time.Since(began).Seconds())
		if len(r.legs) == 0 && b.restAudio() {
			return
		}
	}
}

// restAudio reports whether the audio goroutine may end, because nobody is
// attached any more.
func (b *Bridge) restAudio() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.legs) > 0 {
		return false
	}
	b.ticking = false
	b.speakers.Store(&speakers{})
	return true
}

// tick moves 20 ms of sound from everybody to everybody.
func (a *audio) tick(r *roster) {
	if r != a.roster {
		a.adopt(r)
	}
	a.n++
	a.listen()
	a.selector.Select(a.voices)
	a.mixDown()
	a.speak()
	if a.detector.Tick(a.sources) {
		a.speakerChanged()
	}
	a.retire()
}

// adopt begins to work with another roster.
func (a *audio) adopt(r *roster) {
	a.epoch++
	was := a.roster.legs
	a.roster = r
	a.audible, a.voices, a.sources = a.audible[:0], a.voices[:0], a.sources[:0]
	for _, l := range r.legs {
		l.ear.epoch = a.epoch
		if !l.audible() {
			a.forget(l.leg)
			continue
		}
		a.audible = append(a.audible, l.leg)
		a.voices = append(a.voices, &l.ear.voice)
		a.sources = append(a.sources, &l.ear.source)
	}
	for _, l := range was {
		if l.ear.epoch != a.epoch {
			a.forget(l.leg)
			a.closeOwn(l.leg)
		}
	}
	a.speakerChanged()
}

// forget makes l somebody who has never said anything.
func (a *audio) forget(l *leg) {
	a.selector.Drop(&l.ear.voice)
	a.detector.Drop(&l.ear.source)
	l.ear.measured = 127
}

// listen asks everybody what is due and finds out how loud it is, decoding
// those who are heard already and some of those nobody knows about.
func (a *audio) listen() {
	a.used, a.unknown = 0, 0
	for _, l := range a.roster.legs {
		e := &l.ear
		next := l.NextAudio()
		e.due, e.known, e.quiet, e.frame = next.Voice, next.HasLevel, next.Quiet, nil
		e.band = bandOf(next.Rate)
		e.spec, e.receives = l.AudioOut()
		if e.receives = e.receives && !l.held; e.receives {
			a.tune(e.spec.Codec.Format.Rate)
		}
		switch {
		case !next.Voice:
			e.voice.Level = 127
			e.measured = 127
		case next.HasLevel:
			e.voice.Level = next.Level
		default:
			e.voice.Level = e.measured
			a.unknown++
		}
	}
	for _, l := range a.audible {
		if l.ear.voice.Heard {
			a.decode(l)
		}
	}
	a.probe()
	for _, l := range a.audible {
		l.ear.source.Level = l.ear.voice.Level
	}
}

// decode reads what is due from l, if anything, and measures it. What was
// decoded is believed more than what the sender claims.
func (a *audio) decode(l *leg) {
	e := &l.ear
	if !e.due || e.frame != nil {
		return
	}
	if a.used == len(a.frames) {
		a.frames = append(a.frames, make(pcm.Frame, samples))
	}
	e.frame = a.frames[a.used][:rates[e.band]/50]
	a.used++
	l.ReadAudio(e.frame)
	e.measured = mix.Level(e.frame)
	e.voice.Level = e.measured
}

// mixDown sums what is heard.
func (a *audio) mixDown() {
	for _, l := range a.audible {
		e := &l.ear
		if !e.voice.Heard && !e.voice.Leaving {
			continue
		}
		a.decode(l)
		if e.receives {
			a.beginOwn(l)
		}
		switch {
		case e.frame == nil:
			continue
		case e.voice.Entered:
			mix.FadeIn(e.frame)
		case e.voice.Leaving:
			mix.FadeOut(e.frame)
		}
		a.add(e)
	}
	a.bridge.cfg.Metrics.audioDecodes.Add(float64(a.used))
	a.complete()
}

// speakerChanged publishes who speaks.
func (a *audio) speakerChanged() {
	var now string
	recent := slices.Clone(a.bridge.speakers.Load().recent)
	recent = slices.DeleteFunc(recent, func(id string) bool {
		return !slices.ContainsFunc(a.roster.legs, func(l attached) bool { return l.id == id })
	})
	if s := a.detector.Speaker(); s != nil {
		now = a.audible[slices.Index(a.sources, s)].id
		recent = slices.DeleteFunc(recent, func(id string) bool { return id == now })
		recent = slices.Insert(recent, 0, now)
	}
	a.bridge.speakers.Store(&speakers{current: now, recent: recent})
	a.news.speakerIs(now)
}

// wantsVideo reports whether anybody receives video. It is asked only while no
// video goroutine does.
func (a *audio) wantsVideo() bool {
	if a.bridge.filming.Load() {
		return false
	}
	return slices.ContainsFunc(a.roster.legs, func(l attached) bool {
		if l.held {
			return false
		}
		for e := range l.eyes {
			if _, ok := e.VideoOut(); ok {
				return true
			}
		}
		return false
	})
}
