package caller

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	pion "github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
)

// Both streams arrive under the SSRC that the offer has announced (RFC 5576).
func TestSendsWhatItOffered(t *testing.T) {
	cfg := Config{Name: "caller", Audio: &g711.PCMU, Video: &vp8.VP8, Clip: &Clip{}}
	cfg.defaults()
	s := newSIP(cfg)
	defer s.Close()
	home := netip.MustParseAddr("127.0.0.1")
	offer, body, err := s.offer(home)
	if err != nil {
		t.Fatal(err)
	}
	offered, err := sdp.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	caps := &sdp.Capabilities{Audio: []*codecs.Audio{&g711.PCMU}, Video: []*codecs.Video{&vp8.VP8}, Width: 640, Height: 360, FrameRate: 15}
	answer, err := sdp.Answer(caps, offered, nil)
	if err != nil {
		t.Fatal(err)
	}
	local := sdp.Local{Address: home}
	arrived := map[sdp.Kind]chan uint32{}
	for i, at := range []*sdp.Endpoint{&local.Audio, &local.Video} {
		peer, err := rtp.Listen(rtp.Config{Bind: home})
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		*at = sdp.Endpoint{Port: peer.Port(), RTCPPort: peer.RTCPPort()}
		if err := peer.SetRemote(answer.Streams[i].Remote()); err != nil {
			t.Fatal(err)
		}
		ssrcs := make(chan uint32, 1)
		arrived[answer.Streams[i].Kind] = ssrcs
		peer.Start(rtp.Handler{RTP: func(p *pion.Packet, _ time.Time) { ssrcs <- p.SSRC }})
	}
	described, err := sdp.Parse(answer.Describe(local))
	if err != nil {
		t.Fatal(err)
	}
	agreed, err := offer.Accept(described)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.connect(agreed); err != nil {
		t.Fatal(err)
	}
	s.port.WriteAudio([]byte{1})
	s.port.WriteVideo(&bridge.VideoFrame{Payloads: [][]byte{{1}}})
	for i, k := range []sdp.Kind{sdp.Audio, sdp.Video} {
		announced, _ := offered.Media[i].Attributes.Get("ssrc")
		select {
		case got := <-arrived[k]:
			if want := strconv.FormatUint(uint64(got), 10) + " cname:caller"; announced != want {
				t.Errorf("%v: sent %q, offered %q", k, want, announced)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%v: nothing arrived; offer:\n%s", k, strings.TrimSpace(string(body)))
		}
	}
}
