package load

import (
	"strings"
	"testing"
	"time"

	pion "github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/sdp"
)

// room returns a generator with three members, two of whom talk; each has heard
// the talkers that hears names.
func room(t *testing.T, hears ...[]int) *generator {
	t.Helper()
	g := &generator{spec: &Spec{Audio: "PCMU", Talkers: 2, Rooms: 1, RoomSize: len(hears)}}
	for i, talkers := range hears {
		f := newFlow("test")
		f.keep = keptAudio
		f.stream = &sdp.Stream{Audio: &sdp.AudioStream{Codec: &g711.PCMU}}
		for n, payload := range mixed(t, talkers) {
			p := pion.Packet{Header: pion.Header{Version: 2, SequenceNumber: uint16(n), Timestamp: uint32(160 * n)}, Payload: payload}
			b, err := p.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			f.receive(b, time.Time{})
		}
		g.members = append(g.members, &member{room: "r", name: "m", index: i, audio: f})
	}
	return g
}

// mixed is what talkers sound like together.
func mixed(t *testing.T, talkers []int) [][]byte {
	t.Helper()
	enc, err := g711.PCMU.NewEncoder(codecs.AudioOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var voices []func(pcm.Frame)
	for _, i := range talkers {
		voices = append(voices, talk(8000, i))
	}
	var out [][]byte
	one := make(pcm.Frame, 160)
	for range keptAudio + 50 {
		sum := make(pcm.Frame, 160)
		noise(sum)
		for _, v := range voices {
			v(one)
			for i := range sum {
				sum[i] = int16((int(sum[i]) + int(one[i])) / 2)
			}
		}
		b, err := enc.Encode(nil, sum)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

func TestListen(t *testing.T) {
	tests := []struct {
		name string
		g    *generator
		want string // part of a problem; "": none
	}{
		{"as it should be", room(t, []int{1}, []int{0}, []int{0, 1}), ""},
		{"somebody hears itself", room(t, []int{0, 1}, []int{0}, []int{0, 1}), "hears itself"},
		{"somebody is not heard", room(t, []int{1}, []int{0}, []int{0}), "does not hear talker 1"},
		{"nothing is heard", room(t, nil, nil, nil), "does not hear talker 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &Report{}
			tt.g.listen(r)
			got := strings.Join(r.Problems, "; ")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("problems %q, want %q", got, tt.want)
			}
		})
	}
}

// A member that received nothing at all is no success.
func TestListenNothing(t *testing.T) {
	g := room(t, []int{1}, []int{0}, []int{0, 1})
	g.members[2].audio.kept = nil
	r := &Report{}
	if g.listen(r); len(r.Problems) != 1 {
		t.Errorf("problems %q, want one", r.Problems)
	}
}

// What the window counts is what came within it, gaps included.
func TestFlowCounts(t *testing.T) {
	f := newFlow("test")
	send := func(from, to int) {
		for n := from; n < to; n++ {
			p := pion.Packet{Header: pion.Header{Version: 2, SequenceNumber: uint16(65530 + n), Timestamp: uint32(n / 2)}}
			b, err := p.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			f.receive(b, time.Time{})
		}
	}
	send(0, 4)
	f.mark(true)
	send(4, 8) // across the wrap
	send(11, 14)
	f.receive([]byte{1, 2, 3}, time.Time{})
	f.mark(false)
	send(14, 20)
	packets, gaps, pictures := f.ended.packets-f.began.packets, f.ended.gaps-f.began.gaps, f.ended.pictures-f.began.pictures
	if packets != 7 || gaps != 3 || pictures != 4 {
		t.Errorf("%d packets, %d gaps, %d pictures; want 7, 3, 4", packets, gaps, pictures)
	}
}
