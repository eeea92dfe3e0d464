package bridge

import (
	"time"

	"github.com/skybridge-media/skybridge/media/compose"
)

// video is the state of a bridge's video goroutine, which looks at legs, says
// who sees what, and hands painting and encoding to workers. Only it touches
// this, but for painter and pool.
type video struct {
	bridge  *Bridge
	pool    compose.Pool
	painter compose.Painter

	roster   *roster
	cast     map[string]actor // who may be seen, by id
	speakers *speakers
	all      *compose.Arrangement // with nobody left out
	mixed    *compose.Arrangement // the same with what is presented
	slides   *compose.Arrangement // of what is presented alone
	views    []*view
	newest   uint64 // serial of the latest picture
	idle     int    // steps since anybody received video

	presenter *eye // what carries the presentation; nil: nobody presents, or not here
	showing   bool // and there is a picture of it
}

// presentation is the seat of what somebody presents. No participant is called so.
const presentation = "\x00presentation"

func newVideo(b *Bridge) *video {
	single, _ := compose.Parse("1+0")
	return &video{
		bridge: b, roster: &roster{plan: &Plan{}}, speakers: &speakers{},
		slides: single.Arrange([]compose.Member{{ID: presentation}}, nil, "", nil),
	}
}

// film starts the video goroutine.
func (b *Bridge) film() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.filming.Load() {
		return
	}
	b.filming.Store(true)
	b.running.Go(b.runVideo)
}

// runVideo is the video goroutine. It lives while somebody receives video.
func (b *Bridge) runVideo() {
	v := newVideo(b)
	defer func() {
		v.close()
		b.filming.Store(false) // now the audio goroutine may ask legs again
	}()
	// A picture that is missed is not made up for.
	period := time.Second / time.Duration(b.cfg.FrameRate)
	c := newClock(time.Now().Add(period), period, period/2)
	defer c.close()
	for {
		now, _, ok := c.wait(b.stop)
		if !ok {
			return
		}
		b.shot.Lock()
		r := b.roster.Load()
		v.step(r, b.speakers.Load(), now)
		rest := len(r.legs) == 0 || v.idle > b.cfg.FrameRate
		if rest {
			v.unwant()
		}
		b.shot.Unlock()
		if rest {
			return
		}
	}
}

// step looks at everybody once and sets to work what is to be done.
func (v *video) step(r *roster, s *speakers, now time.Time) {
	changed := r != v.roster || s != v.speakers
	if r != v.roster {
		v.adopt(r)
	}
	v.speakers = s
	v.idle++
	for _, l := range r.legs {
		for e := range l.eyes {
			changed = e.ask(l.held) || changed
			if e.receives {
				v.idle = 0
			}
		}
	}
	if v.lookAtPresentation() || changed {
		v.arrange()
	}
	for _, l := range r.legs {
		v.look(l.eye)
		for e := range l.eyes {
			if e.TakeKeyFrameRequest() && e.group != nil {
				e.group.askKey()
			}
		}
	}
	for _, w := range v.views {
		w.shoot(now)
	}
}

// lookAtPresentation does the same for what is presented, and reports whether
// it has begun or ended to be shown: that begins with its first picture.
func (v *video) lookAtPresentation() (changed bool) {
	showing := false
	if v.presenter != nil {
		v.look(v.presenter)
		showing = v.presenter.source != nil
	}
	if showing == v.showing {
		return false
	}
	v.showing = showing
	if showing {
		v.bridge.cfg.Metrics.presentations.Inc()
	} else {
		v.bridge.cfg.Metrics.presentations.Dec()
	}
	return true
}

// look takes over the newest picture of a stream that somebody sees.
func (v *video) look(e *eye) {
	if e.wanted == [2]int{} {
		e.forget()
		return
	}
	switch p := e.Picture(); p {
	case nil:
		e.forget()
	case e.picture: // held already
		p.Release()
	default:
		e.forget()
		e.picture = p
		e.source = v.pool.NewSource(&p.Picture, p.Release)
		e.source.Shared = len(v.views) > 1
		v.newest = e.source.Serial
	}
}

// actor is somebody who may be seen.
type actor struct {
	member *Member
	eye    *eye // nil while not attached here
}

// adopt begins to work with another roster.
func (v *video) adopt(r *roster) {
	v.cast = make(map[string]actor, len(r.plan.Members))
	for i := range r.plan.Members {
		m := &r.plan.Members[i]
		v.cast[m.ID] = actor{member: m}
	}
	here := make(map[*leg]bool, len(r.legs))
	for _, l := range r.legs {
		here[l.leg] = true
		if l.member != nil {
			v.cast[l.id] = actor{l.member, l.eye}
		}
	}
	for _, l := range v.roster.legs {
		if here[l.leg] {
			continue
		}
		for e := range l.eyes {
			e.forget()
		}
	}
	v.present(r)
	v.roster = r
}

// present finds what carries the presentation.
func (v *video) present(r *roster) {
	was := v.presenter
	v.presenter = nil
	for _, l := range r.legs {
		if l.content != nil && r.plan.Presenter == l.id && l.member != nil && !l.held {
			v.presenter = l.content
		}
	}
	if was != nil && was != v.presenter {
		was.forget()
	}
	v.cast[presentation] = actor{&Member{}, v.presenter}
}

// unwant ends decoding, when nobody sees anything any more.
func (v *video) unwant() {
	for _, l := range v.roster.legs {
		for e := range l.eyes {
			e.want(0, 0)
			e.told = false
		}
	}
}

// close releases everything. Workers may still be busy with the last picture;
// they release what they hold themselves.
func (v *video) close() {
	for _, l := range v.roster.legs {
		for e := range l.eyes {
			e.close()
		}
	}
	if v.showing {
		v.bridge.cfg.Metrics.presentations.Dec()
	}
	for _, w := range v.views {
		w.retire()
	}
}
