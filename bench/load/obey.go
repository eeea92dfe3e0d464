package load

import (
	"slices"

	"github.com/skybridge-media/skybridge/media/rtp"
)

// A limit is a request to send no more than a bitrate (TMMBR, RFC 5104 section
// 4.2.1). Immutable.
type limit struct {
	by    uint32 // SSRC of who asks
	entry rtp.BitrateEntry
}

// newLimit returns what an RTCP packet asks of a source; nil: nothing.
func newLimit(packet []byte, source uint32) *limit {
	var p rtp.BitrateLimit
	if p.Unmarshal(packet) != nil || p.Notification {
		return nil
	}
	for _, e := range slices.Backward(p.Entries) { // the last word counts
		if e.SSRC == source {
			return &limit{p.SenderSSRC, e}
		}
	}
	return nil
}

// obey does what the server asked for last, if that is what m does: it goes on
// with another version of the clip, and notifies the server of the limit that
// holds (TMMBN, RFC 5104 section 4.2.2).
//
// The other version begins with a key frame: its pictures were predicted from each
// other before anybody knew when they would be sent, and cannot go on where another
// one stops. The encoder of a real endpoint would just quantize otherwise with its
// next picture. So a change costs more bits and more decoding here than it does
// with real endpoints, never less.
func (m *member) obey() {
	if m.spec.Video.Senders != TMMBR {
		return
	}
	f := m.video
	l := f.limit.Swap(nil)
	if l == nil {
		return
	}
	m.limits++
	if v := fitting(m.clips, l.entry, m.spec.Video.FrameRate); v != m.version {
		m.version, m.pos = v, 0
	}
	e := l.entry
	e.SSRC = l.by
	f.report(&rtp.BitrateLimit{Notification: true, SenderSSRC: f.ssrc, Entries: []rtp.BitrateEntry{e}})
}

// fitting returns which version of a clip, the least first, is the best within a
// limit, which counts the headers. The least is sent whatever the limit: there is
// nothing else.
func fitting(versions []*clip, e rtp.BitrateEntry, frameRate int) int {
	best := 0
	for i, c := range versions {
		if c.bitrate(e.Overhead, frameRate) <= e.Bitrate {
			best = i
		}
	}
	return best
}
