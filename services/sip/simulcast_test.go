package sip_test

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	pion "github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/payload"
)

// TestSimulcast sends a picture in three sizes over plain RTP, and has the one
// decoded that fits.
func TestSimulcast(t *testing.T) {
	b := newBench(t)
	u := newUA(b, "UDP")
	conn, port := ear(t)
	c := u.call("room", offer(audioOffer+fmt.Sprintf("m=video %d RTP/AVPF 97\r\n", port)+
		"a=rtpmap:97 VP8/90000\r\na=rtcp-fb:97 nack pli\r\n"+
		"a=extmap:7 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"+
		"a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send q;h;f\r\n"))
	for _, want := range []string{
		"a=rid:q recv\r\n", "a=rid:h recv\r\n", "a=rid:f recv\r\n", "a=simulcast:recv q;h;f\r\n",
		"a=extmap:7 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n",
	} {
		if !strings.Contains(c.answer.body, want) {
			t.Fatalf("no %q in the answer:\n%s", want, c.answer.body)
		}
	}
	number := regexp.MustCompile(`(?m)^m=video (\d+) `).FindStringSubmatch(c.answer.body)
	to, err := strconv.Atoi(number[1])
	if err != nil {
		t.Fatal(err)
	}
	room := net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, uint16(to)))
	leg := next[*participant.Connect](t, b.Node.participant(t, 0)).Port

	sizes := []struct {
		name          string
		width, height int
		payload       []byte
	}{{"q", 160, 90, nil}, {"h", 320, 180, nil}, {"f", 640, 360, nil}}
	for i := range sizes {
		sizes[i].payload = keyFrame(t, sizes[i].width, sizes[i].height)
	}
	n := uint16(0)
	send := func() {
		n++
		for i, s := range sizes {
			pkt := &pion.Packet{Header: pion.Header{
				Version: 2, PayloadType: 97, SSRC: uint32(100 + i), SequenceNumber: n, Timestamp: 3000 * uint32(n), Marker: true,
			}, Payload: s.payload}
			if err := pkt.SetExtension(7, []byte(s.name)); err != nil {
				t.Fatal(err)
			}
			data, err := pkt.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.WriteToUDP(data, room); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, want := range []int{1, 2, 0} {
		leg.WantVideo(sizes[want].width, sizes[want].height)
		tick := time.NewTicker(time.Second / 30)
		deadline := time.Now().Add(20 * time.Second)
		for width := 0; width != sizes[want].width; <-tick.C {
			send()
			leg.NextAudio()
			if p := leg.Picture(); p != nil {
				width = p.Width
				p.Release()
			}
			if time.Now().After(deadline) {
				t.Fatalf("width %d is decoded, want %d", width, sizes[want].width)
			}
		}
		tick.Stop()
	}
	c.bye()
}

// keyFrame returns the one payload of a grey picture.
func keyFrame(t *testing.T, width, height int) []byte {
	t.Helper()
	e, err := vp8.VP8.NewEncoder(codecs.VideoOptions{Width: width, Height: height, FrameRate: 30, Bitrate: 300_000})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	pic := yuv.New(width, height)
	pic.Fill(yuv.Color{Y: 128, U: 128, V: 128})
	unit, _, err := e.Encode(nil, pic, true)
	if err != nil {
		t.Fatal(err)
	}
	payloads, err := payload.Packetize("VP8", unit, 0, 1150)
	if err != nil || len(payloads) != 1 {
		t.Fatalf("%d payloads (%v)", len(payloads), err)
	}
	return payloads[0]
}
