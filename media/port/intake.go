package port

import (
	"time"

	"github.com/skybridge-media/skybridge/media/jitter"
	"github.com/skybridge-media/skybridge/media/payload"
)

// An intake makes access units of the packets of one layer. Usually there is
// one. While the decoder is to be moved to another layer there are two: the
// decoder gets pictures of the old layer until the new one has a key frame
// complete, so that nobody sees the change.
type intake struct {
	layer    int
	buf      *jitter.Video
	assemble *payload.Assembler
	waiting  bool // nothing is taken before a key frame
	shown    bool // the decoder has got pictures of it
	lost     []uint16
}

// newIntake returns an intake for a layer, with the memory of one that is not
// needed any more if there is one. in.mu is held, as for everything here.
func (in *videoIn) newIntake(layer int) (*intake, error) {
	if t := in.spare; t != nil {
		in.spare = nil
		t.layer, t.waiting, t.shown = layer, true, false
		return t, nil
	}
	a, err := payload.NewAssembler(in.cfg.Codec.Name, in.cfg.Parameters)
	if err != nil {
		return nil, err
	}
	return &intake{layer: layer, buf: jitter.NewVideo(in.cfg.NACK), assemble: a, waiting: true}, nil
}

// drop ends the change to another layer.
func (in *videoIn) drop() {
	if in.next == nil {
		return
	}
	in.ladder.rungs[in.next.layer].refresh.satisfied()
	in.keepSpare(in.next)
	in.next = nil
}

// keepSpare keeps the memory of an intake.
func (in *videoIn) keepSpare(t *intake) {
	t.buf.Reset()
	t.assemble.Reset()
	in.spare = t
}

// promote makes the layer that is changed to the one that is decoded.
func (in *videoIn) promote(m *Metrics) {
	in.ladder.rungs[in.main.layer].refresh.satisfied()
	in.keepSpare(in.main)
	in.main, in.next = in.next, nil
	in.switches++
	m.layerChanges.Inc()
}

// refresher returns what asks for key frames of the layer.
func (in *videoIn) refresher(t *intake) *refresher { return &in.ladder.rungs[t.layer].refresh }

// breakOff passes over everything up to the next key frame.
func (in *videoIn) breakOff(t *intake) {
	t.waiting = true
	in.refresher(t).need()
	t.buf.Seek()
}

// choose moves to the layer that suits best. starting says that one begins with
// a key frame now, and need not be asked for another.
func (s *videoStream) choose(starting int, now time.Time) {
	in := &s.in
	if in.main == nil || len(in.ladder.rungs) == 1 {
		return
	}
	best := in.ladder.pick(in.main.layer, now)
	if !in.ladder.covers(best) {
		in.explore(now)
	}
	switch {
	case best == in.main.layer:
		in.drop()
		return
	case in.next != nil && in.next.layer == best:
		return
	}
	in.drop()
	if !in.main.shown && !in.ladder.flows(in.main.layer, now) {
		in.refresher(in.main).satisfied()
		in.main.layer = best
		in.main.buf.Reset()
		in.main.assemble.Reset()
	} else {
		t, err := in.newIntake(best)
		if err != nil { // not after the first one
			s.log.Error("video cannot be received", "err", err)
			return
		}
		in.next = t
	}
	r := &in.ladder.rungs[best].refresh
	r.need()
	if starting == best {
		r.wait(now)
	}
}

// explore asks for key frames of layers whose size is unknown: one of them may
// be large enough. It happens when the first packets of a layer are lost.
func (in *videoIn) explore(now time.Time) {
	for i := range in.ladder.rungs {
		if in.ladder.area(i) == 0 && in.ladder.flows(i, now) {
			in.ladder.rungs[i].refresh.need()
		}
	}
}

// intakeOf returns who takes the packets of a layer, nil if nobody.
func (in *videoIn) intakeOf(layer int) *intake {
	switch {
	case in.main != nil && in.main.layer == layer:
		return in.main
	case in.next != nil && in.next.layer == layer:
		return in.next
	}
	return nil
}

// measure learns the size of a layer's picture from the first packet of a key
// frame, and reports whether it is another one than before.
func (in *videoIn) measure(layer int, p []byte) (changed bool) {
	codec := in.cfg.Codec
	if codec.Size == nil || in.scratch == nil {
		return false
	}
	in.scratch.Reset()
	if in.scratch.Add(p) != nil {
		return false
	}
	w, h := codec.Size(in.scratch.Unit())
	if w == 0 || h == 0 {
		return false
	}
	r := &in.ladder.rungs[layer]
	changed = r.width != w || r.height != h
	r.width, r.height = w, h
	if in.intakeOf(layer) == nil {
		r.refresh.satisfied()
	}
	return changed
}
