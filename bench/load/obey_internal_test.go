package load

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
)

// versions are clips of three pictures at 30 per second, each in one packet: of
// 100,000, 200,000 and 400,000 bit/s with headers of 40 bytes.
func versions() []*clip {
	var all []*clip
	for _, bitrate := range []int{100_000, 200_000, 400_000} {
		size := bitrate/8/30 - 40 + 1 // of a payload: not below what the clip is named for
		c := &clip{bytes: 3 * size, packets: 3}
		for range 3 {
			c.payloads = append(c.payloads, [][]byte{make([]byte, size)})
		}
		all = append(all, c)
	}
	return all
}

// A member goes on with the best version within the limit, and says so.
func TestObey(t *testing.T) {
	var packets, answers [][]byte
	keep := func(to *[][]byte) func([]byte) bool {
		return func(b []byte) bool {
			*to = append(*to, slices.Clone(b))
			return true
		}
	}
	m := &member{
		spec:  &Spec{Video: &Video{Senders: TMMBR, FrameRate: 30}},
		video: newFlow("test"), clips: versions(), version: 2,
	}
	f := m.video
	f.stream = &sdp.Stream{Video: &sdp.VideoStream{Codec: &h264.H264}}
	f.write, f.writeControl = keep(&packets), keep(&answers)
	const server = 7
	now := time.Now()
	m.show(now)
	m.show(now)
	for _, tt := range []struct {
		name                   string
		source                 uint32
		bitrate, overhead, old int
		notification           bool
		version, pos           int // of the next picture
		answered               bool
	}{
		{"somebody else's stream", f.ssrc + 1, 1, 40, 0, false, 2, 2, false},
		{"a notification", f.ssrc, 1, 40, 0, true, 2, 0, false},
		{"more than there is", f.ssrc, 1_000_000, 40, 0, false, 2, 1, true},
		{"between", f.ssrc, 300_000, 40, 0, false, 1, 0, true},
		{"the same", f.ssrc, 250_000, 40, 0, false, 1, 1, true},
		{"less than there is", f.ssrc, 64_000, 40, 0, false, 0, 0, true},
		{"the latest of two in one packet", f.ssrc, 500_000, 40, 1, false, 2, 0, true},
		{"headers that are not counted", f.ssrc, 391_000, 0, 0, false, 2, 1, true},
		{"headers that are", f.ssrc, 391_000, 40, 0, false, 1, 0, true},
	} {
		request := &rtp.BitrateLimit{SenderSSRC: server, Notification: tt.notification}
		if tt.old != 0 {
			request.Entries = append(request.Entries, rtp.BitrateEntry{SSRC: tt.source, Bitrate: tt.old})
		}
		request.Entries = append(request.Entries, rtp.BitrateEntry{SSRC: tt.source, Bitrate: tt.bitrate, Overhead: tt.overhead})
		b, err := rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: server}, request})
		if err != nil {
			t.Fatal(err)
		}
		answers = nil
		f.receiveControl(b)
		m.show(now)
		if last := m.sent[len(m.sent)-1]; last.version != tt.version || last.pos != tt.pos {
			t.Errorf("%s: picture %d of version %d, want %d of %d", tt.name, last.pos, last.version, tt.pos, tt.version)
		}
		if p := packets[len(packets)-1]; len(p) != headerSize+len(m.clips[tt.version].payloads[0][0]) {
			t.Errorf("%s: a packet of %d bytes", tt.name, len(p))
		}
		if !tt.answered {
			if len(answers) > 0 {
				t.Errorf("%s: answered", tt.name)
			}
			continue
		}
		if len(answers) != 1 {
			t.Errorf("%s: %d answers", tt.name, len(answers))
			continue
		}
		compound, err := rtcp.Unmarshal(answers[0])
		if err != nil {
			t.Fatal(err)
		}
		var n rtp.BitrateLimit
		if raw, ok := compound[len(compound)-1].(*rtcp.RawPacket); !ok || n.Unmarshal(*raw) != nil {
			t.Fatalf("%s: answered %v", tt.name, compound)
		}
		// RFC 5104, section 4.2.2.1: the SSRC of an entry is that of the one who
		// asked.
		if !n.Notification || n.SenderSSRC != f.ssrc || n.Entries[0].SSRC != server || n.Entries[0].Overhead != tt.overhead {
			t.Errorf("%s: answered %+v", tt.name, n)
		}
	}
}

// What senders offer is what they do.
func TestOffers(t *testing.T) {
	c := &sdp.Capabilities{Video: []*codecs.Video{&h264.H264}, Width: 640, Height: 360, FrameRate: 30}
	offer := sdp.NewOffer(c, nil).Describe(sdp.Local{Address: netip.MustParseAddr("127.0.0.1")})
	layers := []Layer{{Width: 160, Height: 90}, {Width: 640, Height: 360}}
	for _, tt := range []struct {
		senders                string
		tmmbr, remb, simulcast bool
	}{
		{Fixed, true, true, false},
		{TMMBR, true, false, false},
		{Simulcast, false, false, true},
	} {
		body := string((&Video{Senders: tt.senders, Layers: layers}).offer(slices.Clone(offer)))
		if _, err := sdp.Parse([]byte(body)); err != nil {
			t.Errorf("%s: %v", tt.senders, err)
		}
		for line, want := range map[string]bool{
			"a=rtcp-fb:* ccm tmmbr\r\n": tt.tmmbr, "a=rtcp-fb:* goog-remb\r\n": tt.remb, "a=rtcp-fb:* nack pli\r\n": true,
			"a=simulcast:send q;h\r\n": tt.simulcast,
		} {
			if strings.Contains(body, line) != want {
				t.Errorf("%s: %q in the offer: %v\n%s", tt.senders, line, !want, body)
			}
		}
	}
}

// FuzzLimit reads requests from the network.
func FuzzLimit(f *testing.F) {
	b, err := (&rtp.BitrateLimit{SenderSSRC: 7, Entries: []rtp.BitrateEntry{{SSRC: 9, Bitrate: 1, Overhead: 40}}}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	all := versions()
	f.Fuzz(func(t *testing.T, b []byte) {
		if l := newLimit(b, 9); l != nil {
			if v := fitting(all, l.entry, 30); v > 0 && all[v].bitrate(l.entry.Overhead, 30) > l.entry.Bitrate {
				t.Errorf("version %d for %+v", v, l.entry)
			}
		}
	})
}
