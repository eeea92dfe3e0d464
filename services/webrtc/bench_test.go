package webrtc

import (
	"testing"

	"github.com/skybridge-media/skybridge/media/port"
)

// BenchmarkAnswer is what an offer costs until its answer, and closing it.
func BenchmarkAnswer(b *testing.B) {
	e := engine(b)
	offer := sample(b, "chromium-slides-data.sdp")
	media := port.New(port.Config{})
	defer media.Close()
	for b.Loop() {
		c, err := e.Answer(b.Context(), Offer{SDP: offer, Port: media})
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}

// BenchmarkNegotiate is the part of it that is ours: parse, choose, write.
func BenchmarkNegotiate(b *testing.B) {
	e, offer := everything(), sample(b, "chromium-slides-data.sdp")
	for b.Loop() {
		if _, _, err := decide(e, offer); err != nil {
			b.Fatal(err)
		}
	}
}
