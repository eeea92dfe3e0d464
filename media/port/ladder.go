package port

import "time"

// none is no layer.
const none = -1

// maxLayers is how many encodings of one picture are told apart. Browsers send
// three at most.
const maxLayers = 4

const (
	// A layer without a packet for so long has been stopped by its sender,
	// which does so when its processor or its path are short.
	layerSilence = 500 * time.Millisecond

	// A smaller layer is taken when it has been enough for so long: whoever
	// speaks next is often who has spoken before.
	layerPatience = 2 * time.Second

	// slack is by how many percent a picture may be enlarged without that
	// anybody sees it.
	slack = 10
)

// A Layer is one of the encodings of its picture that a peer sends side by side
// (simulcast, RFC 8853).
type Layer struct {
	RID string // RFC 8851, section 10: letters, digits, "-" and "_"

	// The largest picture that the peer has announced for it; zero: it did not
	// say.
	Width, Height int
}

// A ladder picks the layer to decode. Not safe for concurrent use.
type ladder struct {
	rungs         []rung // in the order of the description
	width, height int    // at which somebody sees the picture
	less          time.Time
}

// A rung is what is known of a layer.
type rung struct {
	rid           string
	width, height int       // of its latest key frame, else announced; zero: unknown
	last          time.Time // arrival of the latest packet
	refresh       refresher // asks for key frames of it
}

// configure takes the layers of a description. What was learnt of those that
// stay is kept.
func (l *ladder) configure(layers []Layer) {
	rungs := make([]rung, min(len(layers), maxLayers))
	for i := range rungs {
		rungs[i] = rung{rid: layers[i].RID, width: layers[i].Width, height: layers[i].Height}
		for _, old := range l.rungs {
			if old.rid == layers[i].RID {
				rungs[i] = old
			}
		}
	}
	if len(rungs) == 0 {
		rungs = []rung{{}} // one stream, that is all there is to choose from
	}
	l.rungs, l.less = rungs, time.Time{}
}

// same reports whether layers are those that the ladder is made of.
func (l *ladder) same(layers []Layer) bool {
	if len(layers) == 0 {
		return !l.layered()
	}
	if min(len(layers), maxLayers) != len(l.rungs) {
		return false
	}
	for i := range l.rungs {
		if l.rungs[i].rid != layers[i].RID {
			return false
		}
	}
	return true
}

// layered reports whether there are layers, rather than a single stream.
func (l *ladder) layered() bool { return len(l.rungs) > 0 && l.rungs[0].rid != "" }

// arrived notes a packet of layer i and reports whether it is the first after a
// silence.
func (l *ladder) arrived(i int, now time.Time) (begins bool) {
	begins = !l.flows(i, now)
	l.rungs[i].last = now
	return begins
}

func (l *ladder) flows(i int, now time.Time) bool {
	last := l.rungs[i].last
	return !last.IsZero() && now.Sub(last) < layerSilence
}

// area is the size of a layer's picture; zero while it is unknown.
func (l *ladder) area(i int) int { return l.rungs[i].width * l.rungs[i].height }

// covers reports whether a layer's picture fills the wanted size without being
// enlarged more than slack allows. As with compose, a picture of another shape
// fills it in one dimension.
func (l *ladder) covers(i int) bool {
	const whole = 100
	r := &l.rungs[i]
	enough := func(have, want int) bool { return have*(whole+slack) >= want*whole }
	if r.width == 0 || r.height == 0 {
		return false
	}
	return enough(r.width, l.width) || enough(r.height, l.height)
}

// pick returns the layer to decode: the smallest that covers the wanted size, or
// else the largest, of those that flow. current is the one that is decoded
// now, or none; it stays if no layer flows, and for layerPatience if it is
// merely larger than it need be.
func (l *ladder) pick(current int, now time.Time) int {
	best := -1
	for i := range l.rungs {
		if l.flows(i, now) && (best < 0 || l.better(i, best, current)) {
			best = i
		}
	}
	switch {
	case best < 0:
		best = current
	case best == current || current == none || !l.flows(current, now) || !l.covers(current):
		l.less = time.Time{}
	case l.less.IsZero():
		l.less = now
		return current
	case now.Sub(l.less) < layerPatience:
		return current
	}
	return best
}

// better reports whether layer a suits better than b.
func (l *ladder) better(a, b, current int) bool {
	areaA, areaB := l.area(a), l.area(b)
	coversA, coversB := l.covers(a), l.covers(b)
	switch {
	case areaA == areaB:
		return a == current
	case areaA == 0 || areaB == 0:
		return areaB == 0 // an unknown one is the last resort
	case coversA != coversB:
		return coversA
	case coversA:
		return areaA < areaB
	}
	return areaA > areaB
}
