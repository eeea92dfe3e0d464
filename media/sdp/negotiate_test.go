package sdp_test

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/sdp"
)

// The codecs of a node, as far as negotiation sees them.
var (
	opus = &codecs.Audio{Name: "opus", Format: pcm.Format{Rate: 48000, Channels: 1}, Clock: 48000, Type: -1}
	g722 = &codecs.Audio{Name: "G722", Format: pcm.Format{Rate: 16000, Channels: 1}, Clock: 8000, Type: 9}
	pcmu = &codecs.Audio{Name: "PCMU", Format: pcm.Format{Rate: 8000, Channels: 1}, Clock: 8000, Type: 0}
	pcma = &codecs.Audio{Name: "PCMA", Format: pcm.Format{Rate: 8000, Channels: 1}, Clock: 8000, Type: 8}
	h264 = &codecs.Video{Name: "H264"}
	vp8  = &codecs.Video{Name: "VP8"}
)

func capabilities() *sdp.Capabilities {
	return &sdp.Capabilities{
		Audio:  []*codecs.Audio{opus, g722, pcmu, pcma},
		Video:  []*codecs.Video{h264, vp8},
		Crypto: sdp.CryptoOptional,
	}
}

var local = sdp.Local{
	Address: netip.MustParseAddr("192.0.2.1"),
	Audio:   sdp.Endpoint{Port: 40000, RTCPPort: 40001},
	Video:   sdp.Endpoint{Port: 40002, RTCPPort: 40003},
	Slides:  sdp.Endpoint{Port: 40004, RTCPPort: 40005},
	Floor:   sdp.Endpoint{Port: 40006},
	Camera:  sdp.Endpoint{Port: 40008, RTCPPort: 40009},
}

// TestNegotiate plays the dialogs in testdata/negotiate. Each file is one
// dialog; its commands are
//
//	set crypto=off|optional|required size=WxH@R bitrate=N bandwidth=N audio=a,b video=a,b slides camera
//	    floor=c-only|s-only|both
//	answer     the peer's offer; prints what was agreed on, and our answer;
//	           with without-video or without-slides after that was taken out
//	offer      prints our offer
//	accept     the peer's answer to it; prints what was agreed on
//	refresh    prints our description once more
//
// Rewrite them with: go test ./media/sdp -rewrite. Commit the changes only if
// you understand what caused them and they are desired.
func TestNegotiate(t *testing.T) {
	datadriven.Walk(t, "testdata/negotiate", func(t *testing.T, path string) {
		d := dialog{caps: capabilities()}
		datadriven.RunTest(t, path, d.run)
	})
}

type dialog struct {
	caps   *sdp.Capabilities
	offer  *sdp.Offer
	agreed *sdp.Agreement
}

func (d *dialog) run(t *testing.T, td *datadriven.TestData) string {
	switch td.Cmd {
	case "set":
		for _, arg := range td.CmdArgs {
			d.set(t, arg.Key, arg.Vals)
		}
		return "ok"
	case "answer":
		offer, err := sdp.Parse([]byte(td.Input))
		if err != nil {
			return err.Error()
		}
		a, err := sdp.Answer(d.caps, offer, d.agreed)
		if err != nil {
			return explain(t, err)
		}
		if td.HasArg("without-video") {
			a = a.Without(sdp.Video)
		}
		if td.HasArg("without-slides") {
			a = a.Without(sdp.Slides)
		}
		d.agreed = a
		return summary(a) + masked(a.Describe(local))
	case "offer":
		d.offer = sdp.NewOffer(d.caps, d.agreed)
		return masked(d.offer.Describe(local))
	case "accept":
		answer, err := sdp.Parse([]byte(td.Input))
		if err != nil {
			return err.Error()
		}
		a, err := d.offer.Accept(answer)
		if err != nil {
			return explain(t, err)
		}
		d.agreed = a
		return summary(a)
	case "refresh":
		return masked(d.agreed.Describe(local))
	}
	t.Fatalf("%s: unknown command %s", td.Pos, td.Cmd)
	return ""
}

func (d *dialog) set(t *testing.T, key string, values []string) {
	c := *d.caps
	var err error
	switch value := strings.Join(values, ","); key {
	case "crypto":
		c.Crypto = map[string]sdp.CryptoPolicy{"off": sdp.CryptoOff, "optional": sdp.CryptoOptional, "required": sdp.CryptoRequired}[value]
	case "size":
		_, err = fmt.Sscanf(value, "%dx%d@%d", &c.Width, &c.Height, &c.FrameRate)
	case "bitrate":
		c.VideoBitrate, err = strconv.Atoi(value)
	case "bandwidth":
		c.Bandwidth, err = strconv.Atoi(value)
	case "slides":
		c.Slides = true
	case "camera":
		c.Camera = true
	case "floor":
		c.Floor = map[string]sdp.FloorRole{"c-only": sdp.FloorClient, "s-only": sdp.FloorServer, "both": sdp.FloorClient | sdp.FloorServer}[value]
	case "audio":
		c.Audio = nil
		for _, a := range capabilities().Audio {
			if strings.Contains(value, a.Name) {
				c.Audio = append(c.Audio, a)
			}
		}
	case "video":
		c.Video = nil
		for _, v := range capabilities().Video {
			if strings.Contains(value, v.Name) {
				c.Video = append(c.Video, v)
			}
		}
	default:
		t.Fatalf("unknown setting %s", key)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.caps = &c
}

// explain prints an error as SIP would report it.
func explain(t *testing.T, err error) string {
	r, ok := errors.AsType[*sdp.Refusal](err)
	if !ok {
		t.Fatalf("error %v is no Refusal", err)
	}
	return fmt.Sprintf("refused: %v\nWarning: %d skybridge %q\n", r.Reason, r.Warning, r.Text)
}

// summary prints an agreement, one stream per paragraph.
func summary(a *sdp.Agreement) string {
	var b strings.Builder
	if a.Unchanged {
		b.WriteString("unchanged\n")
	}
	for _, s := range a.Streams {
		fmt.Fprintf(&b, "%v at %d: %s to %v, RTCP %v", s.Kind, s.Index, s.Proto, s.RTP, s.RTCP)
		for _, f := range []struct {
			name string
			on   bool
		}{{"mux", s.Mux}, {"send", s.Send}, {"recv", s.Recv}, {"held", s.Held}} {
			if f.on {
				b.WriteString(" " + f.name)
			}
		}
		fmt.Fprintf(&b, "\n  types %d/%d", s.SendType, s.RecvType)
		if s.Bitrate > 0 {
			fmt.Fprintf(&b, " bitrate %d", s.Bitrate)
		}
		if s.Content+s.Label != "" {
			fmt.Fprintf(&b, " content %q label %q", s.Content, s.Label)
		}
		if c := s.Crypto; c != nil {
			fmt.Fprintf(&b, " %s keys %d", c.Suite, len(c.Recv))
			if len(c.Recv[0].MKI) > 0 {
				fmt.Fprintf(&b, " MKI %x", c.Recv[0].MKI)
			}
		}
		b.WriteString("\n")
		if a := s.Audio; a != nil {
			fmt.Fprintf(&b, "  %s %v", a.Codec.Name, a.Ptime)
			if a.EventClock > 0 {
				fmt.Fprintf(&b, " events %d/%d at %d", a.EventSendType, a.EventRecvType, a.EventClock)
			}
			fmt.Fprintf(&b, " noise %d level %d fec %v dtx %v\n", a.NoiseType, a.LevelExt, a.FEC, a.DTX)
		}
		if v := s.Video; v != nil {
			fmt.Fprintf(&b, "  %s mode %d, %dx%d@%d", v.Codec.Name, v.Mode, v.Width, v.Height, v.FrameRate)
			for _, f := range []struct {
				name string
				on   bool
			}{{"nack", v.NACK}, {"pli", v.PLI}, {"fir", v.FIR}, {"tmmbr", v.TMMBR}, {"remb", v.REMB}} {
				if f.on {
					b.WriteString(" " + f.name)
				}
			}
			for _, l := range v.Layers {
				fmt.Fprintf(&b, " layer %s", l.RID)
				if l.Width > 0 {
					fmt.Fprintf(&b, " of %dx%d", l.Width, l.Height)
				}
			}
			if v.LayerExt > 0 {
				fmt.Fprintf(&b, " named by extension %d", v.LayerExt)
			}
			if v.Parameters != nil {
				fmt.Fprintf(&b, " parameters %x", v.Parameters)
			}
			b.WriteString("\n")
		}
	}
	if s := a.Camera; s != nil {
		fmt.Fprintf(&b, "camera at %d: %s to %v send %v recv %v types %d/%d crypto %v\n", s.Index, s.Proto, s.RTP, s.Send, s.Recv, s.SendType, s.RecvType, s.Crypto != nil)
	}
	if f := a.Floor; f != nil {
		fmt.Fprintf(&b, "floor at %d: %s to %v as %v\n", f.Index, f.Proto, f.Address, f.Role)
		if f.Role&sdp.FloorServer != 0 {
			fmt.Fprintf(&b, "  server %+v\n", f.Server)
		}
		if f.Role&sdp.FloorClient != 0 {
			fmt.Fprintf(&b, "  client %+v\n", f.Client)
		}
		if f.TCP() {
			fmt.Fprintf(&b, "  active %v existing %v\n", f.Active, f.Existing)
		}
	}
	return randomConference.ReplaceAllString(b.String(), "Conference:RANDOM")
}

var (
	randomConference = regexp.MustCompile(`Conference:\d{6,}`)
	conferenceID     = regexp.MustCompile(`(?m)^a=confid:\d{6,}`)
	sessionID        = regexp.MustCompile(`(?m)^o=- \d+ `)
	inlineKey        = regexp.MustCompile(`inline:\S+`)
)

// masked replaces what is random.
func masked(body []byte) string {
	s := strings.ReplaceAll(string(body), "\r\n", "\n")
	s = sessionID.ReplaceAllString(s, "o=- ID ")
	s = conferenceID.ReplaceAllString(s, "a=confid:RANDOM")
	return inlineKey.ReplaceAllString(s, "inline:KEY")
}
