package port

import (
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
)

func TestOptions(t *testing.T) {
	h264, vp8 := &codecs.Video{Name: "H264"}, &codecs.Video{Name: "VP8"}
	tests := []struct {
		name string
		v    Video
		tier int
		want codecs.VideoOptions
	}{
		{"no limits", Video{Codec: vp8}, 0, codecs.VideoOptions{Width: 1280, Height: 720, FrameRate: 30, Bitrate: 1_800_000}},
		{"middle", Video{Codec: vp8}, 1, codecs.VideoOptions{Width: 640, Height: 360, FrameRate: 30, Bitrate: 600_000}},
		{"low", Video{Codec: vp8}, 2, codecs.VideoOptions{Width: 320, Height: 180, FrameRate: 15, Bitrate: 200_000}},
		{
			"bitrate rounded down, so that peers share",
			Video{Codec: vp8, MaxBitrate: 1_048_576},
			0,
			codecs.VideoOptions{Width: 1280, Height: 720, FrameRate: 30, Bitrate: 1_000_000},
		},
		{
			"bitrate below all",
			Video{Codec: vp8, MaxBitrate: 30_000},
			2,
			codecs.VideoOptions{Width: 320, Height: 180, FrameRate: 15, Bitrate: 30_000},
		},
		{
			"CIF",
			Video{Codec: h264, Mode: 1, Width: 352, Height: 288, FrameRate: 15},
			0,
			codecs.VideoOptions{Width: 352, Height: 198, FrameRate: 15, Bitrate: 1_800_000},
		},
		{
			"upright",
			Video{Codec: vp8, Width: 720, Height: 300},
			0,
			codecs.VideoOptions{Width: 532, Height: 300, FrameRate: 30, Bitrate: 1_800_000},
		},
		{
			"448p is nearly 16:9, and 28 rows of macroblocks",
			Video{Codec: h264, Mode: 1, Width: 768, Height: 448, MaxBitrate: 768_000},
			0,
			codecs.VideoOptions{Width: 768, Height: 448, FrameRate: 30, Bitrate: 768_000},
		},
		{
			"single NAL units",
			Video{Codec: h264},
			2,
			codecs.VideoOptions{Width: 320, Height: 180, FrameRate: 15, Bitrate: 200_000, MaxSlice: usualPayload},
		},
	}
	for _, tt := range tests {
		if got := options(&tt.v, tt.v.MaxBitrate, tt.tier); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	for limit, want := range map[int]int{0: 0, 4_000_000: 0, 1_100_000: 0, 1_000_000: 1, 400_000: 1, 300_000: 2, 1: 2} {
		if got := best(&Video{}, limit); got != want {
			t.Errorf("limit %d: tier %d, want %d", limit, got, want)
		}
	}
	// 448p needs less than 720p: the limit that is small for one is enough for the other.
	if got := best(&Video{Width: 768, Height: 448}, 768_000); got != 0 {
		t.Errorf("448p at 768 kbit/s: tier %d, want the best", got)
	}
}

// TestAdapter feeds one report each second, as a script, and compares the tiers.
func TestAdapter(t *testing.T) {
	type phase struct {
		seconds  int
		loss     float64
		estimate int // 0: none
		rate     int // bit/s sent
		want     int // tier at the end
	}
	tests := []struct {
		name    string
		ceiling int
		phases  []phase
	}{
		{"good path", 0, []phase{{600, 0, 0, 1_800_000, 0}}},
		{"repairable loss", 0, []phase{{600, 0.05, 0, 1_800_000, 0}}},
		{"full path: down at once", 0, []phase{{3, 0, 0, 1_800_000, 0}, {1, 0.2, 0, 1_800_000, 1}}},
		{"down again only after the effect shows", 0, []phase{{3, 0, 0, 0, 0}, {2, 0.2, 0, 1_800_000, 1}, {2, 0.2, 0, 600_000, 2}}},
		{"never below the last", 0, []phase{{60, 0.5, 0, 1_800_000, 2}}},
		{"up after a while", 0, []phase{{4, 0.2, 0, 1_800_000, 2}, {8, 0, 0, 200_000, 2}, {4, 0, 0, 200_000, 1}, {12, 0, 0, 600_000, 0}}},
		{"some loss holds", 0, []phase{{2, 0.2, 0, 1_800_000, 1}, {60, 0.05, 0, 600_000, 1}}},
		{"not above the ceiling", 1, []phase{{300, 0, 0, 600_000, 1}}},
		{"estimate far below what is sent", 0, []phase{{3, 0, 2_500_000, 0, 0}, {1, 0, 250_000, 1_800_000, 2}}},
		{"estimate just below", 0, []phase{{3, 0, 2_500_000, 0, 0}, {1, 0, 1_000_000, 1_800_000, 1}}},
		{"low estimate, but nothing is sent: a still picture", 0, []phase{{60, 0, 250_000, 150_000, 0}}},
		{"low estimate that does not fall: motion after a still picture", 0, []phase{{60, 0, 250_000, 150_000, 0}, {30, 0, 300_000, 1_800_000, 0}}},
		{"estimate cannot grow beyond 1.5 times: a try is made", 0, []phase{{3, 0, 2_500_000, 0, 0}, {1, 0, 700_000, 1_800_000, 1}, {12, 0, 900_000, 600_000, 0}}},
		{"no room in the estimate", 0, []phase{{3, 0, 2_500_000, 0, 0}, {1, 0, 700_000, 1_800_000, 1}, {60, 0, 650_000, 600_000, 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var a adapter
			now := start
			a.begin(tt.ceiling, now)
			for i, p := range tt.phases {
				for range p.seconds {
					now = now.Add(time.Second)
					if p.estimate > 0 {
						a.estimated(p.estimate, now)
					}
					a.lossy(p.loss, now)
					a.review(p.rate, tt.ceiling, now)
				}
				if a.tier != p.want {
					t.Fatalf("tier %d at the end of phase %d, want %d", a.tier, i, p.want)
				}
			}
		})
	}
}

// TestAdapterTriesLessOften has every try of the better tier fail.
func TestAdapterTriesLessOften(t *testing.T) {
	var a adapter
	now := start
	a.begin(0, now)
	var tries []time.Time
	for range 1200 {
		now = now.Add(time.Second)
		before := a.tier
		if a.tier == 0 {
			a.lossy(0.3, now)
		} else {
			a.lossy(0, now)
		}
		a.review(tiers[a.tier].bitrate, 0, now)
		if a.tier < before {
			tries = append(tries, now)
		}
	}
	if len(tries) < 5 || len(tries) > 15 {
		t.Fatalf("%d tries in 20 minutes", len(tries))
	}
	first, last := tries[1].Sub(tries[0]), tries[len(tries)-1].Sub(tries[len(tries)-2])
	if last < 4*first {
		t.Errorf("pauses from %v to %v, want them to grow", first, last)
	}
}

func TestRefresher(t *testing.T) {
	var r refresher
	asked := func(from, to time.Duration) (at []time.Duration) {
		for d := from; d < to; d += 10 * time.Millisecond {
			if r.due(after(d)) {
				at = append(at, d)
			}
		}
		return at
	}
	if got := asked(0, time.Second); len(got) != 0 {
		t.Errorf("asked at %v, but nothing is needed", got)
	}
	r.need()
	got := asked(time.Second, time.Minute)
	if got[0] != time.Second {
		t.Errorf("asked first at %v, want at once", got[0])
	}
	for i := 1; i < len(got); i++ {
		switch pause := got[i] - got[i-1]; {
		case pause < 500*time.Millisecond, pause > 4*time.Second:
			t.Errorf("pause of %v", pause)
		case i < 6 && pause != 500*time.Millisecond:
			t.Errorf("pause %d of %v, want 500 ms", i, pause)
		}
	}
	r.satisfied()
	if got := asked(time.Minute, 2*time.Minute); len(got) != 0 {
		t.Errorf("asked at %v, but it has come", got)
	}
	r.need()
	r.due(after(2 * time.Minute))
	r.satisfied()
	r.need() // lost again at once
	if got := asked(2*time.Minute, 3*time.Minute); got[0] != 2*time.Minute+500*time.Millisecond {
		t.Errorf("asked again at %v, want not within 500 ms", got[0])
	}
}

func TestEstimator(t *testing.T) {
	var e estimator
	r := reception{begun: true}
	now := start
	second := func(packets, lost, rate int) int {
		r.highest += int64(packets)
		r.packets += uint64(packets - lost)
		now = now.Add(time.Second)
		b, due := e.estimate(r.expected(), r.packets, rate, now)
		if !due {
			t.Fatal("no estimate after a second")
		}
		if _, due = e.estimate(r.expected(), r.packets, rate, now); due {
			t.Fatal("two estimates at once")
		}
		return b
	}
	if got := second(100, 0, 900_000); got != mostReceived {
		t.Errorf("first estimate %d, want a generous one", got)
	}
	got := second(100, 20, 900_000)
	if got > 1_350_000 || got < 1_000_000 {
		t.Errorf("%d after 20 %% loss at 900 kbit/s, want less than 1.5 times that", got)
	}
	if same := second(100, 5, 900_000); same != got {
		t.Errorf("%d after 5 %% loss, want %d as before", same, got)
	}
	for range 30 {
		got = second(100, 0, 900_000)
	}
	if got != mostReceived {
		t.Errorf("%d after half a minute without loss, want %d", got, mostReceived)
	}
	if got = second(40, 15, 20_000); got != mostReceived {
		t.Errorf("%d after a few packets of a still picture were lost", got)
	}
	for range 30 {
		got = second(100, 60, 100_000)
	}
	if got != leastReceived {
		t.Errorf("%d on a broken path, want %d", got, leastReceived)
	}
}
