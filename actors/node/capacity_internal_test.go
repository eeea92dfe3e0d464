package node

import (
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/actors/conference"
)

// round is a node of ten HD calls, in round proportions.
var round = Capacity{HD: 10, SD: 20, FullHD: 5, Audio: 100, Shown: 20, Viewers: 200, Listeners: 1000}

// TestBackplaneReserve is the table of what a conference sets aside on each of
// its nodes: one call of its best quality, and nothing where there is one node.
func TestBackplaneReserve(t *testing.T) {
	for _, tt := range []struct {
		what    string
		quality Quality
		nodes   int
		want    Units
	}{
		{"video", HDVideo, 2, HDUnit},
		{"audio only", AudioOnly, 2, HDUnit / 10},
		{"1080p", FullHDVideo, 2, 2 * HDUnit},
		{"single node, video", HDVideo, 1, 0},
		{"single node, audio only", AudioOnly, 1, 0},
		{"single node, 1080p", FullHDVideo, 1, 0},
		{"many nodes", HDVideo, 60, HDUnit},
	} {
		if got := round.BackplaneReserve(tt.quality, tt.nodes); got != tt.want {
			t.Errorf("%s: %v HD calls, want %v", tt.what, got.HD(), tt.want.HD())
		}
	}
	if got := (Capacity{}).BackplaneReserve(HDVideo, 2); got != 0 {
		t.Errorf("a node without limit sets %v HD calls aside", got.HD())
	}
}

// TestDemand is the table of what conferences lease.
func TestDemand(t *testing.T) {
	for _, tt := range []struct {
		what string
		cfg  conference.Config
		d    demand
		want float64 // HD calls
	}{
		{"nobody", conference.Config{}, demand{}, 0},
		{"media for somebody to come", conference.Config{}, demand{open: true}, 1},
		{"one", conference.Config{}, demand{video: 1, open: true}, 1},
		{"eight, each with a picture of its own", conference.Config{}, demand{video: 8}, 8},
		{"one more than is shown", conference.Config{}, demand{video: 9}, 9},
		{"and an audience", conference.Config{}, demand{video: 209}, 9 + 200*0.05},
		{"an auditorium", conference.Config{Layout: "1+0"}, demand{video: 102}, 2 + 100*0.05},
		{"all share one picture", conference.Config{SelfView: true}, demand{video: 8}, 1 + 7*0.5},
		{"and an audience", conference.Config{SelfView: true}, demand{video: 109}, 1 + 8*0.5 + 100*0.05},
		{"sound", conference.Config{}, demand{audio: 8}, 0.8},
		{"sound, and listeners", conference.Config{}, demand{audio: 109}, 9*0.1 + 100*0.01},
		{"pictures and sound", conference.Config{}, demand{video: 4, audio: 7}, 4 + 5*0.1 + 2*0.01},
		{"viewers of two", conference.Config{}, demand{video: 2, watching: 101}, 3 + 100*0.05},
		{"viewers of many", conference.Config{Layout: "1+0"}, demand{video: 4, watching: 100}, 2 + 102*0.05},
		{"viewers of what all share", conference.Config{SelfView: true}, demand{video: 2, watching: 100}, 1 + 0.5 + 100*0.05},
		{"viewers that only listen", conference.Config{}, demand{audio: 2, listening: 100}, 2*0.1 + 100*0.01},
		{"a test call", conference.Config{Layout: "1+0", Test: time.Minute}, demand{video: 1}, 2},
		{"a test call without a picture", conference.Config{Layout: "1+0", Test: time.Minute}, demand{audio: 1}, 0.1},
		{"something presented", conference.Config{}, demand{video: 4, content: 1}, 5},
		{"to three", conference.Config{SelfView: true}, demand{video: 4, content: 4}, 1 + 3*0.5 + 1 + 3*0.05},
		{"an unknown layout", conference.Config{Layout: "1+33"}, demand{video: 10}, 9 + 0.05},
	} {
		d := demandOf(tt.cfg)
		tt.d.seats, tt.d.shared, tt.d.echo = d.seats, d.shared, d.echo
		if got := tt.d.units(round); got != Units(tt.want*float64(HDUnit)+0.5) {
			t.Errorf("%s: %v HD calls, want %v", tt.what, got.HD(), tt.want)
		}
		if got := tt.d.units(Capacity{}); got != 0 {
			t.Errorf("%s: %v HD calls of a node without limit", tt.what, got.HD())
		}
	}
}

// TestDemandIsMonotone wants that nobody who leaves makes a conference dearer,
// however many there are, because who is here already is not asked again.
func TestDemandIsMonotone(t *testing.T) {
	for _, capacity := range []Capacity{round, TypicalCapacity(3)} {
		for _, cfg := range []conference.Config{{}, {SelfView: true}, {Layout: "1+0"}, {Layout: "4x4", SelfView: true}} {
			for pictures := range 40 {
				for sounds := range 40 {
					d := demandOf(cfg)
					d.video, d.audio = pictures, sounds
					now := d.units(capacity)
					for _, m := range []medium{audio, video, listening, watching} {
						more := d
						more.add(m, 1)
						if then := more.units(capacity); then < now {
							t.Fatalf("%+v: %d with video and %d without take %v HD calls, and one more makes that %v",
								cfg, pictures, sounds, now.HD(), then.HD())
						}
					}
				}
			}
		}
	}
}
