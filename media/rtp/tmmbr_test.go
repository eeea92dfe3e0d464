package rtp_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/pion/rtcp"

	"github.com/skybridge-media/skybridge/media/rtp"
)

// TestBitrateLimit follows the format of RFC 5104, section 4.2.1.1.
func TestBitrateLimit(t *testing.T) {
	request := &rtp.BitrateLimit{SenderSSRC: 0x01020304, Entries: []rtp.BitrateEntry{{SSRC: 0x05060708, Bitrate: 320_000, Overhead: 40}}}
	// 320,000 is 80,000 * 2^2.
	want := []byte{0x83, 205, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0, 5, 6, 7, 8, 2<<2 | 80000>>15, 80000 >> 7 & 0xff, 80000<<1&0xff | 40>>8, 40}
	got, err := request.Marshal()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("TMMBR % x (%v), want % x", got, err, want)
	}
	for _, p := range []*rtp.BitrateLimit{
		request,
		{Notification: true, SenderSSRC: 7},
		{Notification: true, SenderSSRC: 7, Entries: []rtp.BitrateEntry{{1, 0, 0}, {2, 100, 511}, {3, 1 << 20, 1}, {4, 1 << 29, 2}}},
	} {
		b, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var again rtp.BitrateLimit
		if err := again.Unmarshal(b); err != nil || fmt.Sprint(again.Notification, again.SenderSSRC, again.Entries) != fmt.Sprint(p.Notification, p.SenderSSRC, p.Entries) {
			t.Errorf("%+v came back as %+v (%v)", p, again, err)
		}
		if len(b) != p.MarshalSize() {
			t.Errorf("%d bytes, said %d", len(b), p.MarshalSize())
		}
		for n := range b {
			if again.Unmarshal(b[:n]) == nil {
				t.Errorf("%d of %d bytes are taken for a whole packet", n, len(b))
			}
		}
	}
	odd := (&rtp.BitrateLimit{Entries: []rtp.BitrateEntry{{Bitrate: 999_999}}})
	b, _ := odd.Marshal()
	var again rtp.BitrateLimit
	if err := again.Unmarshal(b); err != nil || again.Entries[0].Bitrate > 999_999 || again.Entries[0].Bitrate < 999_990 {
		t.Errorf("999,999 came back as %+v (%v)", again, err)
	}
	huge := bytes.Clone(want)
	copy(huge[16:], []byte{0xff, 0xff, 0xff, 0xff})
	if err := again.Unmarshal(huge); err != nil || again.Entries[0].Bitrate != 1e9 || again.Entries[0].Overhead != 511 {
		t.Errorf("the largest is %+v (%v)", again, err)
	}
	nack, _ := (&rtcp.TransportLayerNack{Nacks: []rtcp.NackPair{{PacketID: 1}, {PacketID: 2}}}).Marshal()
	if again.Unmarshal(nack) == nil {
		t.Error("a NACK is taken for a limit")
	}
	if _, err := (&rtp.BitrateLimit{Entries: []rtp.BitrateEntry{{Overhead: 512}}}).Marshal(); err == nil {
		t.Error("an overhead of 512 bytes was written")
	}
}
