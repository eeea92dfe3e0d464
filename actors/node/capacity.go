package node

import (
	"math"
	"slices"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/media/compose"
	"github.com/skybridge-media/skybridge/media/mix"
)

// Capacity is what this node's CPU can carry: how many calls of one kind, if
// there are no others beside them. An HD call with a picture of its own is the
// unit that everything is counted in. The zero value stands for no limit.
type Capacity struct {
	HD, SD, FullHD float64 // video calls, each with a picture composed and encoded for it alone
	Audio          float64 // calls that are heard, each with a mix of its own
	Shown          float64 // HD calls that are seen by others, and receive what is encoded for several
	Viewers        float64 // HD calls that are not seen; likewise
	Listeners      float64 // audio calls that are not heard; likewise
}

// TypicalCapacity returns what a node of that many HD units can carry, in the
// proportions that were measured on the machine of docs/manual/capacity.md. It
// is for nodes whose capacity was given by hand, or is not measured yet.
func TypicalCapacity(hd float64) Capacity {
	return Capacity{
		HD: hd, SD: 2.2 * hd, FullHD: 0.4 * hd, Audio: 40 * hd,
		Shown: 2.4 * hd, Viewers: 90 * hd, Listeners: 240 * hd,
	}
}

// Units counts capacity in millionths of an HD call, so that what is added and
// taken away again leaves nothing behind.
type Units int64

// HDUnit is the capacity that one HD call with a picture of its own takes.
const HDUnit Units = 1_000_000

// HD returns u in HD calls.
func (u Units) HD() float64 { return float64(u) / float64(HDUnit) }

func (c Capacity) limited() bool { return c != Capacity{} }

// capacity is what calls here lease from: nothing where there is no media.
func (c *Config) capacity() Capacity {
	if !slices.Contains(c.Roles, RoleMedia) {
		return Capacity{}
	}
	return c.Capacity
}

// units is the whole capacity.
func (c Capacity) units() Units { return Units(math.Round(c.HD * float64(HDUnit))) }

// weight is what one call takes, of a kind of which that many fit.
func (c Capacity) weight(calls float64) Units {
	if calls <= 0 || c.HD <= 0 {
		return HDUnit
	}
	return Units(math.Ceil(c.HD / calls * float64(HDUnit)))
}

// demand is what there is in one conference on this node.
type demand struct {
	video, audio int // calls with video, and calls with audio only
	watching     int // viewers with video, and with audio only
	listening    int
	content      int // calls with a stream for what is presented
	seats        int // of the layout: how many are seen at once
	shared       bool
	echo         bool // what comes from them goes back: it is encoded twice
	open         bool // there is media, whoever uses it
}

func demandOf(cfg conference.Config) demand {
	d := demand{shared: cfg.SelfView, echo: cfg.Test > 0}
	layout, err := compose.Parse(cfg.Layout)
	if err != nil {
		layout, _ = compose.Parse(compose.Default)
	}
	d.seats = layout.Seats()
	return d
}

// units is what a conference takes of a node with capacity c.
//
// Where nobody sees itself, everybody who is seen needs a picture of its own:
// an HD unit each (CN-16). The layout shows so many and one more, as whoever
// is seen sees another one instead of itself. All others receive one picture
// that was encoded for all of them, and theirs is not decoded: viewers.
//
// Where oneself is shown as well, all receive one picture. The first call pays
// for it, the others that are seen for being decoded.
//
// Viewers see what everybody sees who is not seen: the first of them may need
// that encoded for it, the others cost what sending takes.
//
// Likewise with sound: so many are heard at once and need a mix of their own,
// the others share one.
//
// What is presented is decoded once, and encoded for all who receive it apart:
// the first stream pays for both, all others receive the same.
//
// A conference whose media is open while nobody has called yet keeps room for
// the first one.
func (d demand) units(c Capacity) (u Units) {
	if !c.limited() {
		return 0
	}
	all := d.video + d.watching
	own, shown := min(d.video+min(d.watching, 1), d.seats+1), 0
	if d.shared {
		own, shown = min(all, 1), min(max(0, d.video-1), d.seats)
	}
	viewers := all - own - shown
	heard := min(d.audio, max(0, mix.DefaultHeard+1-own-shown))
	if d.echo && own > 0 {
		own++
	}
	u += Units(own) * HDUnit
	u += Units(shown) * c.weight(c.Shown)
	u += Units(viewers) * c.weight(c.Viewers)
	u += Units(heard) * c.weight(c.Audio)
	u += Units(d.audio-heard+d.listening) * c.weight(c.Listeners)
	if d.content > 0 {
		u += HDUnit + Units(d.content-1)*c.weight(c.Viewers)
	}
	if d.open && all == 0 && d.audio == 0 {
		u = HDUnit
	}
	return u
}

// A Quality is the best that a conference carries.
type Quality int

// The kinds of conference that [BackplaneReserve] tells apart.
const (
	AudioOnly Quality = iota
	HDVideo
	FullHDVideo
)

// BackplaneReserve is what a conference of a cluster of mediaNodes sets aside
// on each node that it is on, for the link to its parts on the others: one call
// of its best quality; nothing where there is one node only.
//
// Nothing leases it as long as conferences live on one node each. A node
// reports what it would be ([Status]), for who plans a cluster.
func (c Capacity) BackplaneReserve(q Quality, mediaNodes int) Units {
	switch {
	case mediaNodes < 2 || !c.limited():
		return 0
	case q == AudioOnly:
		return c.weight(c.Audio)
	case q == FullHDVideo:
		return c.weight(c.FullHD)
	}
	return HDUnit
}
