package dtmf_test

import (
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/media/dtmf"
)

// arrival is one packet as a test sends it.
type arrival struct {
	after     time.Duration // since the packet before
	timestamp uint32
	marker    bool
	event     dtmf.Event
}

// listen feeds a detector and returns the digits it reports.
func listen(d *dtmf.Detector, packets []arrival) string {
	now := time.Unix(1_700_000_000, 0)
	var got []byte
	for _, p := range packets {
		now = now.Add(p.after)
		if digit, ok := d.Packet(p.timestamp, p.marker, p.event.Append(nil), now); ok {
			got = append(got, digit)
		}
	}
	return string(got)
}

const gap = 20 * time.Millisecond

// press is a key press of n packets and its three end packets, as RFC 4733
// section 2.5.1 wants it.
func press(code byte, timestamp uint32, n int) []arrival {
	var ps []arrival
	for i := range n {
		ps = append(ps, arrival{gap, timestamp, i == 0, dtmf.Event{Code: code, Volume: 10, Duration: uint16(160 * (i + 1))}})
	}
	for range 3 {
		ps = append(ps, arrival{gap, timestamp, false, dtmf.Event{Code: code, End: true, Volume: 10, Duration: uint16(160 * (n + 1))}})
	}
	return ps
}

// change returns a copy of packets with f applied to each.
func change(packets []arrival, f func(i int, p *arrival)) []arrival {
	out := append([]arrival(nil), packets...)
	for i := range out {
		f(i, &out[i])
	}
	return out
}

func join(runs ...[]arrival) []arrival {
	var out []arrival
	for _, r := range runs {
		out = append(out, r...)
	}
	return out
}

func pause(d time.Duration, packets []arrival) []arrival {
	return change(packets, func(i int, p *arrival) {
		if i == 0 {
			p.after = d
		}
	})
}

func TestDetector(t *testing.T) {
	five := press(5, 1000, 5)
	again := pause(100*time.Millisecond, press(5, 4000, 5))
	six := pause(100*time.Millisecond, press(6, 4000, 5))
	tests := []struct {
		name    string
		packets []arrival
		want    string
	}{
		{"one press", five, "5"},
		{"the same key twice", join(five, again), "55"},
		{"two keys", join(five, six), "56"},
		{"only the last end packet arrives", five[len(five)-1:], "5"},
		{"all end packets lost", join(five[:5], again), "55"},
		{"all end packets lost, quick second press", join(five[:5], pause(60*time.Millisecond, press(5, 2600, 5))), "55"},
		{"all but the first lost", join(five[:1], six[:1]), "56"},
		{"first packet arrives last", join(five[1:], five[:1]), "5"},
		{"packets of two presses cross", join(five[:7], six[:1], five[7:], six[1:]), "56"},
		{"late end of an older press of the same key", join(five[:7], again[:2], five[7:], again[2:]), "55"},
		{"duplicated by the network", join(five, five), "5"},
		{"marker on every packet", change(join(five, again), func(_ int, p *arrival) { p.marker = true }), "55"},
		{"never a marker", change(join(five, again), func(_ int, p *arrival) { p.marker = false }), "55"},
		{"duration always zero", change(join(five, again), func(_ int, p *arrival) { p.event.Duration = 0 }), "55"},
		{"duration always the same", change(join(five, six), func(_ int, p *arrival) { p.event.Duration = 800 }), "56"},
		{"duration goes backwards", change(five, func(i int, p *arrival) { p.event.Duration = uint16(2000 - 160*i) }), "5"},
		{
			"timestamp steps with every packet (Sonus)",
			change(join(five, again), func(i int, p *arrival) { p.timestamp += uint32(160 * i) }), "55",
		},
		{
			"timestamp steps and marker on every packet",
			change(five, func(i int, p *arrival) { p.timestamp += uint32(160 * i); p.marker = true }), "5",
		},
		{"timestamp never moves", change(join(five, again, pause(100*time.Millisecond, press(6, 0, 5))),
			func(_ int, p *arrival) { p.timestamp = 0 }), "556"},
		{"timestamp never moves, a second later", change(join(five, pause(2*time.Second, five[4:])),
			func(_ int, p *arrival) { p.timestamp = 0 }), "55"},
		{"timestamp wraps", join(press(1, 0xffffff00, 5), pause(100*time.Millisecond, press(1, 0x400, 5))), "11"},
		{"clock starts again", join(press(1, 900_000, 5), pause(100*time.Millisecond, press(1, 160, 5))), "11"},
		{"hook flash is not a digit", press(16, 1000, 5), ""},
		{"fax tone is not a digit", press(36, 1000, 5), ""},
		{"flash between two digits", join(five, press(16, 3000, 2), six), "56"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := listen(new(dtmf.Detector), tt.packets); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// RFC 4733 section 2.5.1.3: "If the duration of the event exceeds this
// maximum, it should be divided into a number of segments", each with a
// timestamp of its own and no E bit before the last.
func TestDetectorLongPress(t *testing.T) {
	var packets []arrival
	segment := func(start uint32, until int) {
		for d := 1600; d < until; d += 1600 {
			packets = append(packets, arrival{100 * time.Millisecond, start, len(packets) == 0, dtmf.Event{Code: 9, Duration: uint16(d)}})
		}
	}
	segment(5000, 0xffff)
	packets = append(packets, arrival{gap, 5000, false, dtmf.Event{Code: 9, Duration: 0xffff}})
	segment(5000+0xffff, 20000)
	for range 3 {
		packets = append(packets, arrival{gap, 5000 + 0xffff, false, dtmf.Event{Code: 9, End: true, Duration: 20000}})
	}
	if got := listen(new(dtmf.Detector), packets); got != "9" {
		t.Errorf("got %q, want one digit", got)
	}
}

// Every key press of a long call is one digit, whatever is lost of it, as long
// as one packet arrives.
func TestDetectorUnderLoss(t *testing.T) {
	for lost := range 1 << 8 { // every subset of the packets of a press
		if lost == 1<<8-1 {
			continue
		}
		var packets []arrival
		var waited time.Duration
		for i, p := range join(press(3, 1000, 5), pause(100*time.Millisecond, press(3, 3400, 5)), pause(100*time.Millisecond, press(7, 5800, 5))) {
			waited += p.after
			if lost>>(i%8)&1 == 0 {
				p.after, waited = waited, 0
				packets = append(packets, p)
			}
		}
		if got := listen(new(dtmf.Detector), packets); got != "337" {
			t.Errorf("lost %08b: got %q, want 337", lost, got)
		}
	}
}

func TestDetectorIgnoresShortPayload(t *testing.T) {
	var d dtmf.Detector
	for n := range 4 {
		if digit, ok := d.Packet(1, true, make([]byte, n), time.Unix(0, 0)); ok {
			t.Errorf("%d bytes became %q", n, digit)
		}
	}
}

func TestDetectorAllocates(t *testing.T) {
	var d dtmf.Detector
	payload := dtmf.Event{Code: 1, Duration: 160}.Append(nil)
	now, ts := time.Unix(0, 0), uint32(0)
	if n := testing.AllocsPerRun(100, func() {
		ts += 5000
		now = now.Add(time.Second)
		d.Packet(ts, true, payload, now)
	}); n != 0 {
		t.Errorf("%v allocations per packet, want 0", n)
	}
}

func FuzzDetector(f *testing.F) {
	f.Add(uint32(1000), true, []byte{5, 10, 0, 160}, uint32(1000), []byte{5, 0x8a, 3, 32})
	f.Add(uint32(0), false, []byte{16}, uint32(0xffff), []byte{})
	f.Fuzz(func(t *testing.T, ts1 uint32, marker bool, p1 []byte, ts2 uint32, p2 []byte) {
		var d dtmf.Detector
		now := time.Unix(0, 0)
		a, first := d.Packet(ts1, marker, p1, now)
		if _, again := d.Packet(ts1, marker, p1, now.Add(gap)); again {
			t.Error("the same packet was two presses")
		}
		d.Packet(ts2, !marker, p2, now.Add(2*gap))
		if first != (len(p1) >= 4 && p1[0] < 16) {
			t.Errorf("payload %x: digit %q, %v", p1, a, first)
		}
	})
}
