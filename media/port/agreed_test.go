package port_test

import (
	"testing"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/media/port"
	"github.com/skybridge-media/skybridge/media/sdp"
)

// Peers whose limits change nothing about the encoding share it.
func TestAgreedAudioOptions(t *testing.T) {
	for _, tt := range []struct {
		name    string
		bitrate int
		audio   sdp.AudioStream
		want    codecs.AudioOptions
	}{
		{"no wishes", 0, sdp.AudioStream{}, codecs.AudioOptions{}},
		{"more than we send", 64_000, sdp.AudioStream{}, codecs.AudioOptions{}},
		{"less than we send", 16_000, sdp.AudioStream{}, codecs.AudioOptions{Bitrate: 16_000}},
		{"pauses", 0, sdp.AudioStream{DTX: true}, codecs.AudioOptions{DTX: true}},
		{"redundancy, if need be", 0, sdp.AudioStream{FEC: true}, codecs.AudioOptions{}},
	} {
		tt.audio.Codec = &opus.Mono
		s := &sdp.Stream{Kind: sdp.Audio, Bitrate: tt.bitrate, Audio: &tt.audio}
		got := port.AgreedAudio(s, port.Local{})
		if got.Options != tt.want || got.FEC != tt.audio.FEC {
			t.Errorf("%s: %+v, FEC %v, want %+v, %v", tt.name, got.Options, got.FEC, tt.want, tt.audio.FEC)
		}
	}
}
