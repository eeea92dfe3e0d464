package webrtc

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"

	pion "github.com/pion/webrtc/v4"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/media/port"
)

// TestGarbage sends what nobody asked for to the port, over UDP and TCP, and
// wants a call that is up to notice nothing, and new ones to be answered.
func TestGarbage(t *testing.T) {
	e := engine(t, func(c *Config) { c.Audio, c.Video = []*codecs.Audio{&g711.PCMU}, nil })
	b := newBrowser(t, nil)
	sound := b.track(pion.MimeTypePCMU)
	s := call(t, e, b)
	near := exchange(t, s.port, func(ctx context.Context) { sendTone(ctx, t, sound, 440) })
	eventually(t, "the tone", func() bool { return near.hears(440) })

	addr := fmt.Sprintf("127.0.0.1:%d", e.Port())
	udp, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		_, _ = udp.Write(rubbish(random, i, ufrag(t, s.SDP())))
	}
	for i := range 40 {
		tcp, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		p := rubbish(random, i, ufrag(t, s.SDP()))
		_, _ = tcp.Write(binary.BigEndian.AppendUint16(nil, uint16(len(p)+i%3))) // RFC 4571 framing, at times wrong
		_, _ = tcp.Write(p)
		_ = tcp.Close()
	}

	near.forget()
	eventually(t, "the tone afterwards", func() bool { return near.hears(440) })
	another := newBrowser(t, nil)
	another.track(pion.MimeTypePCMU)
	call(t, e, another)
}

// rubbish makes a packet that begins like one of those that the port takes.
func rubbish(random *rand.Rand, i int, ufrag string) []byte {
	p := make([]byte, random.IntN(200))
	for j := range p {
		p[j] = byte(random.Uint32())
	}
	switch i % 5 {
	case 0: // a STUN binding request for a call that exists, without integrity
		msg := []byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, byte(i)}
		name := ufrag + ":rfrg"
		msg = append(msg, 0, 6, 0, byte(len(name)))
		msg = append(msg, name...)
		msg = append(msg, make([]byte, (4-len(name)%4)%4)...)
		binary.BigEndian.PutUint16(msg[2:], uint16(len(msg)-20))
		return msg
	case 1: // STUN with attributes that lie about their length
		return append([]byte{0, 1, 0, byte(len(p)), 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 6, 0xff, 0xff}, p...)
	case 2: // DTLS handshake
		return append([]byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5}, p...)
	case 3: // RTP or RTCP
		return append([]byte{0x80, byte(i), 0, 1}, p...)
	}
	return p
}

// FuzzAnswer takes what is offered all the way through pion.
func FuzzAnswer(f *testing.F) {
	for _, name := range []string{"aiortc.sdp", "chromium-audio.sdp", "chromium-h264.sdp", "chromium-sendonly.sdp", "chromium-simulcast.sdp"} {
		f.Add(sample(f, name), sample(f, "chromium-audio.sdp"))
	}
	e := engine(f, everyCodec)
	media := port.New(port.Config{})
	f.Cleanup(media.Close)
	f.Fuzz(func(t *testing.T, offer, again string) {
		c, err := e.Answer(t.Context(), Offer{SDP: offer, Port: media})
		if err != nil {
			if bus.CodeOf(err) != bus.Invalid {
				t.Errorf("%v is not the peer's mistake", err)
			}
			return
		}
		defer c.Close()
		if _, err := c.Update(t.Context(), again, true, true); err != nil && bus.CodeOf(err) != bus.Invalid {
			t.Errorf("update: %v is not the peer's mistake", err)
		}
	})
}
