package transcoder

import (
	"cmp"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/media/bridge"
)

// plan says what a roster means for the bridge.
func plan(r *conference.Roster) *bridge.Plan {
	p := &bridge.Plan{
		Layout:   r.Layout,
		SelfView: r.SelfView, Presenter: r.Presenter,
		Members: make([]bridge.Member, 0, len(r.Participants)),
	}
	for _, m := range r.Participants {
		p.Members = append(p.Members, bridge.Member{
			ID:         m.Id,
			Name:       cmp.Or(m.OverlayText, m.Name),
			AudioMuted: m.AudioMuted,
			VideoMuted: m.VideoMuted,
			Held:       m.Held || m.Waiting != "",
			Spotlight:  m.Spotlight,
			NoTile:     m.State != conference.StateConnected || !m.Audio && !m.Video || m.Role == conference.RoleViewer,
		})
	}
	return p
}

// stamp orders the rosters of one owner.
type stamp struct{ epoch, version uint64 }

func (s stamp) after(t stamp) bool {
	return s.epoch > t.epoch || s.epoch == t.epoch && s.version > t.version
}
