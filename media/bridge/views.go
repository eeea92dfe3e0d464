package bridge

import (
	"slices"

	"github.com/skybridge-media/skybridge/media/compose"
)

// audience is some who are to see the same.
type audience struct {
	arrangement *compose.Arrangement
	legs        []*leg
}

// arrange says anew who sees what, who is decoded for it and how large, and
// which encodes that takes. It is called when something has changed.
func (v *video) arrange() {
	v.assign(v.audiences())
	for _, w := range v.views {
		w.regroup()
	}
	v.tellWanted()
}

// audiences divides all who receive video by what they are to see: everybody
// the same, except that those who have a tile see a picture without it.
func (v *video) audiences() []*audience {
	plan, layout := v.roster.plan, v.roster.layout
	var members []compose.Member
	for i := range plan.Members {
		if m := &plan.Members[i]; !m.NoTile && !m.Held {
			members = append(members, compose.Member{ID: m.ID, Spotlight: m.Spotlight})
		}
	}
	v.all = layout.Arrange(members, v.speakers.recent, "", v.all)

	var as []*audience
	for _, l := range v.roster.legs {
		if !l.eye.receives {
			l.leaveGroup()
			continue
		}
		seen := v.all
		if !plan.SelfView && v.all.Shows(l.id) {
			var before *compose.Arrangement
			if l.eye.view != nil {
				before = l.eye.view.arrangement
			}
			seen = layout.Arrange(members, v.speakers.recent, l.id, before)
		}
		i := slices.IndexFunc(as, func(a *audience) bool { return a.arrangement.Equal(seen) })
		if i < 0 {
			i = len(as)
			as = append(as, &audience{arrangement: seen})
		}
		as[i].legs = append(as[i].legs, l.leg)
	}
	return as
}

// leaveGroup ends sending to a leg that receives nothing any more.
func (l *leg) leaveGroup() {
	if l.eye.group != nil {
		l.watch(nil)
	}
	l.eye.view, l.eye.group = nil, nil
}

// assign gives each audience a view: the one that most of it watches already,
// so that as few as possible need another encoder and a key frame when the
// speaker changes. What a view shows may change as a whole; that is an ordinary
// picture in an ordinary stream.
func (v *video) assign(as []*audience) {
	slices.SortStableFunc(as, func(a, b *audience) int { return len(b.legs) - len(a.legs) })
	var kept []*view
	for _, a := range as {
		w := mostWatched(a.legs, kept)
		if w == nil {
			w = v.newView()
		}
		w.arrangement, w.legs = a.arrangement, a.legs
		kept = append(kept, w)
	}
	for _, w := range v.views {
		if !slices.Contains(kept, w) {
			w.retire()
		}
	}
	for _, w := range kept {
		for _, l := range w.legs {
			l.eye.view = w
		}
	}
	v.views = kept
}

// mostWatched returns the view that most of legs watch and that is not taken.
func mostWatched(legs []*leg, taken []*view) *view {
	var best *view
	most := 0
	counts := map[*view]int{}
	for _, l := range legs {
		w := l.eye.view
		if w == nil || slices.Contains(taken, w) {
			continue
		}
		if counts[w]++; counts[w] > most {
			best, most = w, counts[w]
		}
	}
	return best
}

// tellWanted lets every leg know at which size it is seen.
func (v *video) tellWanted() {
	sizes := map[string][2]int{}
	for _, w := range v.views {
		for i, id := range w.arrangement.Seats {
			r := w.arrangement.Rect(i, w.width, w.height)
			s := sizes[id]
			sizes[id] = [2]int{max(s[0], r.W), max(s[1], r.H)}
		}
	}
	for _, l := range v.roster.legs {
		s := sizes[l.id]
		if l.member == nil || l.member.VideoMuted {
			s = [2]int{}
		}
		l.eye.want(l, s[0], s[1])
	}
}
