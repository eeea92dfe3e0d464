package jitter_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/media/jitter"
	"github.com/skybridge-media/skybridge/media/payload"
)

// picture returns the packets of the nth picture, which has size packets and
// begins at sequence number first.
func picture(n, first, size int, key bool) []jitter.VideoPacket {
	var ps []jitter.VideoPacket
	for i := range size {
		p := jitter.VideoPacket{
			Sequence: uint16(first + i), Timestamp: uint32(n * 3000), Marker: i == size-1,
			Payload: fmt.Appendf(nil, "%d.%d", n, i),
		}
		if key && i == 0 {
			p.Key = payload.SurelyKey
		}
		ps = append(ps, p)
	}
	return ps
}

// stream is a key frame and n-1 other pictures of three packets each, from
// sequence number 0 on.
func stream(n int) []jitter.VideoPacket {
	var ps []jitter.VideoPacket
	for i := range n {
		ps = append(ps, picture(i, 3*i, 3, i == 0)...)
	}
	return ps
}

// frames returns all pictures that are due, as the payloads joined.
func frames(b *jitter.Video, now time.Time) []string {
	var out []string
	for {
		f, ok := b.Next(now, 0)
		if !ok {
			return out
		}
		var parts []string
		for _, p := range f.Payloads {
			parts = append(parts, string(p))
		}
		out = append(out, strings.Join(parts, " "))
	}
}

// TestFrames puts packets in at 1 ms from each other and compares the pictures
// that come out while they do.
func TestFrames(t *testing.T) {
	s := stream(4)
	pick := func(order ...int) []jitter.VideoPacket {
		var ps []jitter.VideoPacket
		for _, i := range order {
			ps = append(ps, s[i])
		}
		return ps
	}
	with := func(ps []jitter.VideoPacket, change func(i int, p *jitter.VideoPacket)) []jitter.VideoPacket {
		ps = slices.Clone(ps)
		for i := range ps {
			change(i, &ps[i])
		}
		return ps
	}
	const p0, p1, p2, p3 = "0.0 0.1 0.2", "1.0 1.1 1.2", "2.0 2.1 2.2", "3.0 3.1 3.2"
	key3 := picture(3, 9, 3, true)
	tests := []struct {
		name    string
		packets []jitter.VideoPacket
		want    []string
		seeking bool
	}{
		{"in order", s, []string{p0, p1, p2, p3}, false},
		{"reordered", pick(0, 2, 1, 4, 3, 5, 8, 6, 7), []string{p0, p1, p2}, false},
		{"twice", pick(0, 0, 1, 2, 1, 3, 4, 4, 5), []string{p0, p1}, false},
		{"a picture waits for its hole", pick(0, 1, 2, 3, 5, 6, 7, 8), []string{p0}, false},
		{"nothing before a key frame", pick(3, 4, 5, 6, 7, 8), nil, true},
		{"beginning inside a key frame", pick(1, 2, 3, 4, 5), nil, true},
		{"key frame behind a hole", slices.Concat(pick(0, 1, 2, 4), key3), []string{p0, p3}, false},
		{"key frame behind a hole, incomplete", slices.Concat(pick(0, 1, 2, 4), key3[:2]), []string{p0}, false},
		{
			"no markers: the next timestamp ends a picture",
			with(s, func(_ int, p *jitter.VideoPacket) { p.Marker = false }),
			[]string{p0, p1, p2},
			false,
		},
		{
			"markers on every packet: not trusted after the first picture",
			with(s, func(_ int, p *jitter.VideoPacket) { p.Marker = true }),
			[]string{"0.0", "0.1 0.2", p1, p2},
			false,
		},
		{
			"padding between pictures",
			slices.Concat(s[:3], []jitter.VideoPacket{{Sequence: 3, Timestamp: 0}, {Sequence: 4, Timestamp: 0}},
				with(s[3:6], func(_ int, p *jitter.VideoPacket) { p.Sequence += 2 })),
			[]string{p0, p1},
			false,
		},
		{
			"numbers wrap",
			with(s, func(_ int, p *jitter.VideoPacket) { p.Sequence += 65531; p.Timestamp += 1<<32 - 4000 }),
			[]string{p0, p1, p2, p3},
			false,
		},
		{
			"numbering jumps: two packets prove it, a key frame is needed",
			slices.Concat(s[:6], with(picture(9, 30000, 3, true), func(int, *jitter.VideoPacket) {}), picture(10, 30003, 3, true)),
			[]string{p0, p1, "10.0 10.1 10.2"},
			false,
		},
		{
			"a stray",
			slices.Concat(s[:4], picture(9, 30000, 1, true), s[4:6]),
			[]string{p0, p1},
			false,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := jitter.NewVideo(true)
			var got []string
			for i, p := range tt.packets {
				b.Put(p, at(i))
				got = append(got, frames(b, at(i))...)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("pictures %q, want %q", got, tt.want)
			}
			if b.Seeking() != tt.seeking {
				t.Errorf("seeking %v, want %v", b.Seeking(), tt.seeking)
			}
		})
	}
}

// TestLikelyKey begins with the parameter sets of a key frame, not with its
// first slice, if they are of one picture and arrive in time.
func TestLikelyKey(t *testing.T) {
	sets, slice, more := picture(0, 10, 3, true)[0], picture(0, 10, 3, false)[1], picture(0, 10, 3, false)[2]
	slice.Key = payload.LikelyKey
	tests := []struct {
		name    string
		packets []jitter.VideoPacket // 4 ms apart
		want    []string             // within 20 ms
		later   []string             // after that
	}{
		{"in order", []jitter.VideoPacket{sets, slice, more}, []string{"0.0 0.1 0.2"}, nil},
		{"parameter sets last", []jitter.VideoPacket{slice, more, sets}, []string{"0.0 0.1 0.2"}, nil},
		{"no parameter sets", []jitter.VideoPacket{slice, more}, nil, []string{"0.1 0.2"}},
		{"after another picture", []jitter.VideoPacket{picture(9, 10, 1, false)[0], slice, more}, []string{"0.1 0.2"}, nil},
		{"inside out", []jitter.VideoPacket{more, sets, slice}, []string{"0.0 0.1 0.2"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := jitter.NewVideo(true)
			var got []string
			for i, p := range tt.packets {
				b.Put(p, at(4*i))
				got = append(got, frames(b, at(4*i))...)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("pictures %q, want %q", got, tt.want)
			}
			if got := frames(b, at(40)); !slices.Equal(got, tt.later) {
				t.Errorf("later pictures %q, want %q", got, tt.later)
			}
		})
	}
}

func TestSeekAfterCorruption(t *testing.T) {
	b := jitter.NewVideo(true)
	for _, p := range stream(2) {
		b.Put(p, at(0))
	}
	if got := frames(b, at(0)); len(got) != 2 {
		t.Fatalf("%d pictures", len(got))
	}
	b.Seek()
	for _, p := range slices.Concat(picture(2, 6, 3, false), picture(3, 9, 2, true), picture(4, 11, 1, false)) {
		b.Put(p, at(1))
	}
	if got := frames(b, at(1)); !slices.Equal(got, []string{"3.0 3.1", "4.0"}) {
		t.Errorf("pictures %q, want those from the key frame on", got)
	}
}

// TestResend follows one missing packet: when it is asked for, how often, and
// when it is given up.
func TestResend(t *testing.T) {
	tests := []struct {
		name   string
		resend bool
		rtt    time.Duration
		asked  []int // ms after it was missed
		given  int   // ms after it was missed
	}{
		{"round trip unknown", true, 0, []int{10, 85, 160, 235}, 240},
		{"5 ms round trip", true, 5 * time.Millisecond, []int{10, 30, 50, 70, 90, 110, 130, 150, 170, 190}, 200},
		{"80 ms round trip", true, 80 * time.Millisecond, []int{10, 110, 210, 310}, 320},
		{"500 ms round trip", true, 500 * time.Millisecond, []int{10}, 500},
		{"not negotiated", false, 0, nil, 60},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := jitter.NewVideo(tt.resend)
			for i, p := range stream(3) {
				if i != 4 {
					b.Put(p, at(0))
				}
			}
			var asked []int
			given := 0
			for ms := 0; ms < 1000 && given == 0; ms++ {
				for {
					if _, ok := b.Next(at(ms), tt.rtt); !ok {
						break
					}
				}
				if b.Seeking() {
					given = ms
				}
				for _, seq := range b.Resend(nil, at(ms), tt.rtt) {
					if seq != 4 {
						t.Errorf("asked for %d", seq)
					}
					asked = append(asked, ms)
				}
			}
			if !slices.Equal(asked, tt.asked) || given != tt.given {
				t.Errorf("asked at %v, given up at %d, want %v and %d", asked, given, tt.asked, tt.given)
			}
			if s := b.Stats(); s.Lost != 1 || int(s.Asked) != len(tt.asked) {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// TestResendLearns the round trip time from the first answer.
func TestResendLearns(t *testing.T) {
	b := jitter.NewVideo(true)
	s := stream(8)
	put := func(ms int, packets ...int) {
		for _, i := range packets {
			b.Put(s[i], at(ms))
		}
	}
	put(0, 0, 1, 3)
	b.Resend(nil, at(10), 0)
	put(210, 2) // the answer took 200 ms
	put(300, 5)
	var asked []int
	for ms := 300; ms < 700; ms++ {
		if len(b.Resend(nil, at(ms), 0)) > 0 {
			asked = append(asked, ms)
		}
	}
	if want := []int{310, 560}; !slices.Equal(asked, want) {
		t.Errorf("asked at %v, want %v", asked, want)
	}
}

// TestVideoOverLossyPath loses packets in both directions and sends again what
// is asked for. Every picture must come out, in order.
func TestVideoOverLossyPath(t *testing.T) {
	type event struct {
		at time.Duration
		p  jitter.VideoPacket
	}
	const rtt = 40 * time.Millisecond
	r := rand.New(rand.NewPCG(5, 6))
	all := stream(900) // 30 s
	var wire []event
	send := func(at time.Duration, p jitter.VideoPacket) {
		if r.Float64() < 0.05 {
			return
		}
		wire = append(wire, event{at + rtt/2 + time.Duration(r.IntN(8))*time.Millisecond, p})
		slices.SortStableFunc(wire, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	}
	b := jitter.NewVideo(true)
	pictures := 0
	for now := time.Duration(0); now < 32*time.Second; now += time.Millisecond {
		if ms := int(now.Milliseconds()); ms%33 == 0 && ms/33 < 900 {
			for _, p := range all[3*(ms/33):][:3] {
				if ms == 0 { // the first key frame gets through
					wire = append(wire, event{now + rtt/2, p})
					continue
				}
				send(now, p)
			}
		}
		for len(wire) > 0 && wire[0].at <= now {
			b.Put(wire[0].p, origin.Add(now))
			wire = wire[1:]
		}
		for {
			f, ok := b.Next(origin.Add(now), rtt)
			if !ok {
				break
			}
			if want := uint32(3000 * pictures); f.Timestamp != want || len(f.Payloads) != 3 {
				t.Fatalf("picture %d of %d packets, want %d of 3", f.Timestamp/3000, len(f.Payloads), want/3000)
			}
			pictures++
		}
		for _, seq := range b.Resend(nil, origin.Add(now), rtt) {
			if r.Float64() >= 0.05 {
				send(now+rtt/2, all[seq])
			}
		}
	}
	if pictures < 899 { // the end of the last one may be lost unnoticed
		t.Errorf("%d of 900 pictures", pictures)
	}
	if s := b.Stats(); s.Recovered < 80 || s.Lost != 0 {
		t.Errorf("stats %+v: the test shows nothing, or a packet was given up", s)
	}
}

func TestVideoAllocates(t *testing.T) {
	b := jitter.NewVideo(true)
	s := stream(1)
	n := 0
	step := func() {
		for i := range s {
			p := s[i]
			p.Sequence, p.Timestamp = uint16(3*n+i), uint32(3000*n)
			b.Put(p, at(33*n))
		}
		if _, ok := b.Next(at(33*n), 0); !ok {
			t.Fatal("no picture")
		}
		n++
	}
	for range 10 {
		step()
	}
	if got := testing.AllocsPerRun(1000, step); got != 0 {
		t.Errorf("%v allocations per picture, want 0", got)
	}
}
