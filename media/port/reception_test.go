package port

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return start.Add(d) }

// TestReceptionLoss follows the counters of RFC 3550, appendix A.3.
func TestReceptionLoss(t *testing.T) {
	r := reception{clock: 8000}
	n := 0
	put := func(seq int) {
		now := after(time.Duration(n) * 20 * time.Millisecond)
		n++
		if ok, _ := r.accept(7, now); !ok {
			t.Fatalf("packet %d not accepted", seq)
		}
		r.packet(uint16(seq), uint32(seq*160), 160, true, now)
	}
	for seq := 65500; seq < 65600; seq++ { // wraps
		if seq%10 != 3 {
			put(seq)
		}
	}
	b := r.report(after(time.Hour))
	if b.SSRC != 7 || b.TotalLost != 10 || b.FractionLost != 10*256/100 || b.LastSequenceNumber != 65599 {
		t.Errorf("first report %+v", b)
	}
	put(65600)
	put(65600) // a duplicate makes up for a loss
	put(65602)
	if b = r.report(after(time.Hour)); b.TotalLost != 10 || b.FractionLost != 0 {
		t.Errorf("second report %+v", b)
	}
	if b = r.report(after(time.Hour)); b.FractionLost != 0 {
		t.Errorf("report of nothing %+v", b)
	}
	put(70000 + 32000) // the numbering jumps: nothing is lost by that
	put(70001 + 32000)
	if b = r.report(after(time.Hour)); b.TotalLost != 10 || b.FractionLost != 0 {
		t.Errorf("report after a jump %+v", b)
	}
	// A report block is about one source (RFC 3550, section 6.4.1).
	later := after(2 * time.Hour)
	r.accept(8, later)
	r.packet(1, 0, 160, true, later)
	r.packet(3, 320, 160, true, later)
	if b = r.report(later); b.SSRC != 8 || b.TotalLost != 1 || r.lost() != 11 {
		t.Errorf("report on the next source %+v, %d lost of both", b, r.lost())
	}
}

// TestReceptionJitter alternates between 0 and 10 ms of delay: the estimate
// settles at the mean deviation, 10 ms (RFC 3550, appendix A.8).
func TestReceptionJitter(t *testing.T) {
	r := reception{clock: 8000}
	for i := range 500 {
		now := after(time.Duration(i*20+i%2*10) * time.Millisecond)
		r.accept(7, now)
		r.packet(uint16(i), uint32(i*160), 160, true, now)
		r.packet(uint16(i), 0, 4, false, now) // an event's timestamp says nothing
	}
	if got := r.jitterTime(); got < 9500*time.Microsecond || got > 10500*time.Microsecond {
		t.Errorf("jitter %v, want 10 ms", got)
	}
	if got := r.report(start).Jitter; got != 79 && got != 80 {
		t.Errorf("jitter of %d units, want 80", got)
	}
}

func TestSources(t *testing.T) {
	type packet struct {
		ssrc uint32
		ms   int
	}
	tests := []struct {
		name    string
		packets []packet
		want    string // a: accepted, c: accepted and changed, -: refused
	}{
		{"one source", []packet{{1, 0}, {1, 20}, {1, 40}}, "aaa"},
		{"another after silence", []packet{{1, 0}, {2, 300}, {2, 320}}, "aca"},
		{"another takes over", []packet{{1, 0}, {2, 20}, {2, 40}, {2, 60}, {2, 80}}, "a--ca"},
		{"two at once", []packet{{1, 0}, {2, 1}, {1, 20}, {2, 21}, {1, 40}, {2, 41}, {2, 42}, {1, 60}}, "a-a-a--a"},
		{"many strays", []packet{{1, 0}, {2, 1}, {3, 2}, {4, 3}, {5, 4}, {1, 20}}, "a----a"},
	}
	for _, tt := range tests {
		r := reception{clock: 8000}
		got := ""
		for i, p := range tt.packets {
			now := after(time.Duration(p.ms) * time.Millisecond)
			switch ok, changed := r.accept(p.ssrc, now); {
			case changed:
				got += "c"
			case ok:
				got += "a"
			default:
				got += "-"
				continue
			}
			r.packet(uint16(i), 0, 1, true, now)
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// RFC 3550, section 6.4.1: the round trip is the time of arrival less LSR less
// DLSR.
func TestRoundTrip(t *testing.T) {
	sent := after(0)
	theirs := reception{}
	theirs.heardReport(&rtcp.SenderReport{NTPTime: ntpTime(sent)}, after(time.Hour))
	block := theirs.report(after(time.Hour + 2*time.Second))
	got := roundTrip(&block, sent.Add(2*time.Second+80*time.Millisecond))
	if d := got - 80*time.Millisecond; d.Abs() > time.Millisecond {
		t.Errorf("round trip %v, want 80 ms", got)
	}
	if got := roundTrip(&rtcp.ReceptionReport{}, sent); got != 0 {
		t.Errorf("round trip %v without a report", got)
	}
	block.Delay += 1 << 20 // a peer that cannot count
	if got := roundTrip(&block, sent); got != 0 {
		t.Errorf("round trip %v, want none rather than a negative one", got)
	}
}

// RFC 3550, section 6.2 and appendix A.7.
func TestReportInterval(t *testing.T) {
	for _, tt := range []struct {
		bitrate     int
		least, most time.Duration
	}{
		{64_000, 2 * time.Second, 6200 * time.Millisecond},
		{1_800_000, 400 * time.Millisecond, 1240 * time.Millisecond},
		{0, 2 * time.Second, 6200 * time.Millisecond},
	} {
		lowest, highest := time.Hour, time.Duration(0)
		for range 1000 {
			d := reportInterval(tt.bitrate)
			lowest, highest = min(lowest, d), max(highest, d)
		}
		if lowest < tt.least || highest > tt.most {
			t.Errorf("%d bit/s: %v to %v, want within %v to %v", tt.bitrate, lowest, highest, tt.least, tt.most)
		}
		if highest < 2*lowest {
			t.Errorf("%d bit/s: %v to %v: not randomized", tt.bitrate, lowest, highest)
		}
	}
}
