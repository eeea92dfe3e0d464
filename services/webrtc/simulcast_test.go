package webrtc

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	pion "github.com/pion/webrtc/v4"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/vp8"
)

// TestSimulcast receives three layers, of different brightness, of which it sees
// the one that fits; also after they have stopped to name themselves, and a hold.
func TestSimulcast(t *testing.T) {
	e := engine(t, func(c *Config) { c.Audio, c.Video = []*codecs.Audio{&g711.PCMU}, []*codecs.Video{&vp8.VP8} })
	b := newBrowser(t, nil)
	sound := b.track(pion.MimeTypePCMU)
	layers := b.layers("q", "h", "f")
	s := call(t, e, b)
	mid, rid, section := b.names()

	peers := []func(context.Context){func(ctx context.Context) { sendTone(ctx, t, sound, 440) }}
	for i, l := range layers {
		named := 0
		peers = append(peers, func(ctx context.Context) {
			sendPictureOf(ctx, t, l, 160<<i, 90<<i, byte(60+60*i), func(h *rtp.Header) {
				if named++; named > 40 {
					return
				}
				_ = h.SetExtension(mid, []byte(section)) // of a packet: nothing can be wrong with it
				_ = h.SetExtension(rid, []byte(l.RID()))
			})
		})
	}
	near := exchange(t, s.port, peers...)
	sees := func(what string, width, height int, luma byte) {
		t.Helper()
		s.port.WantVideo(width, height)
		eventually(t, what, func() bool { return near.luma() > luma-10 && near.luma() < luma+10 })
	}
	eventually(t, "the tone", func() bool { return near.hears(440) })
	sees("the smallest", 160, 90, 60)
	sees("the largest", 640, 360, 180)
	sees("the middle", 320, 180, 120)
	// pion offers no layers a second time, so it is the first offer again.
	offer := b.CurrentLocalDescription().SDP
	hold := regexp.MustCompile("(?m)^a=(rid|simulcast).*\r\n").ReplaceAllString(strings.ReplaceAll(offer, "a=sendrecv", "a=recvonly"), "")
	for _, again := range []string{offer, hold} {
		if _, err := s.Update(t.Context(), again, true, true); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "nothing on hold", func() bool { return s.port.Picture() == nil })
	if _, err := s.Update(t.Context(), offer, true, true); err != nil {
		t.Fatal(err)
	}
	sees("the largest after a hold", 640, 360, 180)
	if st := s.port.Stats().VideoIn; st.LayerChanges < 3 || st.Width != 640 {
		t.Errorf("stats %+v", st)
	}
}

// layers adds a track of the peer's that is sent in several layers of VP8.
func (b *browser) layers(rids ...string) (tracks []*pion.TrackLocalStaticRTP) {
	b.Helper()
	var tr *pion.RTPTransceiver
	for _, rid := range rids {
		t, err := pion.NewTrackLocalStaticRTP(pion.RTPCodecCapability{MimeType: pion.MimeTypeVP8}, "video", "browser", pion.WithRTPStreamID(rid))
		if err != nil {
			b.Fatal(err)
		}
		tracks = append(tracks, t)
		if tr == nil {
			tr, err = b.AddTransceiverFromTrack(t)
		} else {
			err = tr.Sender().AddEncoding(t)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	all := tr.Sender().GetParameters().Codecs
	if err := tr.SetCodecPreferences(slices.DeleteFunc(all, func(c pion.RTPCodecParameters) bool { return c.MimeType != pion.MimeTypeVP8 })); err != nil {
		b.Fatal(err)
	}
	return tracks
}

// names returns the header extensions that were agreed on, and the video
// section's name.
func (b *browser) names() (mid, rid uint8, section string) {
	b.Helper()
	for _, tr := range b.GetTransceivers() {
		if tr.Kind() != pion.RTPCodecTypeVideo {
			continue
		}
		section = tr.Mid()
		for _, x := range tr.Sender().GetParameters().HeaderExtensions {
			switch x.URI {
			case sdp.SDESMidURI:
				mid = uint8(x.ID)
			case sdp.SDESRTPStreamIDURI:
				rid = uint8(x.ID)
			}
		}
	}
	if mid == 0 || rid == 0 {
		b.Fatalf("no names were agreed on\n%s", b.RemoteDescription().SDP)
	}
	return mid, rid, section
}
