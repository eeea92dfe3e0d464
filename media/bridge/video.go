package bridge

import (
	"time"

	"github.com/skybridge-media/skybridge/media/compose"
)

// eye is what the video goroutine knows of a leg.
type eye struct {
	receives bool // it is sent video, as spec says
	spec     VideoSpec
	view     *view
	group    *group

	wanted  [2]int // what WantVideo was told last
	told    bool   // whether it ever was
	picture *SharedPicture
	source  *compose.Source // the same, for painting
}

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
	views    []*view
	newest   uint64 // serial of the latest picture
	idle     int    // steps since anybody received video
}

func newVideo(b *Bridge) *video {
	return &video{bridge: b, roster: &roster{plan: &Plan{}}, speakers: &speakers{}}
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
		e := &l.eye
		spec, ok := l.VideoOut()
		ok = ok && !l.held()
		if ok != e.receives || ok && spec != e.spec {
			e.receives, e.spec = ok, spec
			changed = true
		}
		if ok {
			v.idle = 0
		}
	}
	if changed {
		v.arrange()
	}
	for _, l := range r.legs {
		v.look(l.leg)
		if l.TakeKeyFrameRequest() && l.eye.group != nil {
			l.eye.group.askKey()
		}
	}
	for _, w := range v.views {
		w.shoot(now)
	}
}

// look takes over the newest picture of a leg that somebody sees.
func (v *video) look(l *leg) {
	e := &l.eye
	if e.wanted == [2]int{} {
		e.forget()
		return
	}
	switch p := l.Picture(); p {
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

// forget gives the picture back.
func (e *eye) forget() {
	if e.source != nil {
		e.source.Release()
		e.source, e.picture = nil, nil
	}
}

// actor is somebody who may be seen.
type actor struct {
	member *Member
	leg    *leg // nil while not attached here
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
			v.cast[l.id] = actor{l.member, l.leg}
		}
	}
	for _, l := range v.roster.legs {
		if !here[l.leg] {
			l.eye.forget()
		}
	}
	v.roster = r
}

// want tells a leg at which size it is seen, when that changes.
func (e *eye) want(l Leg, w, h int) {
	if size := [2]int{w, h}; size != e.wanted || !e.told {
		e.wanted, e.told = size, true
		l.WantVideo(w, h)
	}
}

// unwant ends decoding, when nobody sees anything any more.
func (v *video) unwant() {
	for _, l := range v.roster.legs {
		l.eye.want(l, 0, 0)
		l.eye.told = false
	}
}

// close releases everything. Workers may still be busy with the last picture;
// they release what they hold themselves.
func (v *video) close() {
	for _, l := range v.roster.legs {
		l.eye.forget()
		l.eye = eye{}
		l.watch(nil)
	}
	for _, w := range v.views {
		w.retire()
	}
}
