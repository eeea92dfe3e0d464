package dtmf_test

import (
	"errors"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/media/dtmf"
)

// RFC 4733 section 2.5.1: one timestamp, a marker on the first packet only,
// durations that grow by the update interval, and the final packet "sent a
// total of three times".
func TestSender(t *testing.T) {
	s := dtmf.NewSender(8000)
	if err := s.Press('#', 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	want := []struct {
		duration uint16
		end      bool
	}{{160, false}, {320, false}, {480, false}, {640, false}, {800, true}, {800, true}, {800, true}}
	const start = 7000
	for i, w := range want {
		p, ok := s.Next(start + uint32(160*i))
		if !ok {
			t.Fatalf("packet %d: none", i)
		}
		e, err := dtmf.ParseEvent(p.Payload[:])
		if err != nil {
			t.Fatal(err)
		}
		if e.Code != 11 || e.Duration != w.duration || e.End != w.end {
			t.Errorf("packet %d: %+v, want code 11, duration %d, end %v", i, e, w.duration, w.end)
		}
		if p.Marker != (i == 0) || p.Timestamp != start {
			t.Errorf("packet %d: marker %v, timestamp %d", i, p.Marker, p.Timestamp)
		}
	}
	if s.Busy() {
		t.Error("still busy after the end packets")
	}
	if p, ok := s.Next(start + 5000); ok {
		t.Errorf("sent %+v after the end", p)
	}
}

// What a Sender sends, a Detector hears, digit by digit.
func TestSenderToDetector(t *testing.T) {
	for _, clock := range []int{8000, 48000} {
		s := dtmf.NewSender(clock)
		const keys = "0123456789*#ABCD1122"
		for _, k := range []byte(keys) {
			if err := s.Press(k, 0); err != nil {
				t.Fatal(err)
			}
		}
		var d dtmf.Detector
		var got []byte
		now := time.Unix(0, 0)
		for ts := uint32(0xffff0000); s.Busy(); ts += uint32(clock / 50) {
			now = now.Add(20 * time.Millisecond)
			if p, ok := s.Next(ts); ok {
				if digit, ok := d.Packet(p.Timestamp, p.Marker, p.Payload[:], now); ok {
					got = append(got, digit)
				}
			}
		}
		if string(got) != keys {
			t.Errorf("clock %d: got %s, want %s", clock, got, keys)
		}
	}
}

func TestSenderCutsLongPress(t *testing.T) {
	s := dtmf.NewSender(48000)
	if err := s.Press('1', time.Minute); err != nil {
		t.Fatal(err)
	}
	var last uint16
	for n := 0; s.Busy(); n++ {
		if n > 1000 {
			t.Fatal("never ends")
		}
		p, _ := s.Next(0)
		e, _ := dtmf.ParseEvent(p.Payload[:])
		if e.Duration < last {
			t.Fatalf("duration fell from %d to %d", last, e.Duration)
		}
		last = e.Duration
	}
	if last < 0xffff-960 {
		t.Errorf("cut at %d", last)
	}
}

func TestSenderRefuses(t *testing.T) {
	s := dtmf.NewSender(8000)
	for _, digit := range []byte{'E', 'x', 0, ' ', 0xff} {
		if err := s.Press(digit, 0); !errors.Is(err, dtmf.ErrNotDigit) {
			t.Errorf("%q: %v", digit, err)
		}
	}
	var err error
	for range 1000 {
		if err = s.Press('1', 0); err != nil {
			break
		}
	}
	if !errors.Is(err, dtmf.ErrBusy) {
		t.Errorf("1000 digits: %v, want ErrBusy", err)
	}
}

func TestSenderAllocates(t *testing.T) {
	s := dtmf.NewSender(8000)
	if err := s.Press('1', 8*time.Second); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { s.Next(1) }); n != 0 {
		t.Errorf("%v allocations per packet, want 0", n)
	}
}

func TestParseInfo(t *testing.T) {
	const relay = "application/dtmf-relay"
	tests := []struct {
		contentType, body string
		digit             byte
		duration          time.Duration
	}{
		{relay, "Signal=5\r\nDuration=160\r\n", '5', 160 * time.Millisecond},
		{relay, "Signal= 5\r\nDuration= 250", '5', 250 * time.Millisecond},
		{relay, "signal=*\nduration=100", '*', 100 * time.Millisecond},
		{relay, "Signal=11\r\n", '#', 160 * time.Millisecond},
		{relay, "Duration=0\r\nSignal=d\r\n", 'D', 160 * time.Millisecond},
		{relay, "5", '5', 160 * time.Millisecond},
		{"Application/DTMF-Relay; charset=utf-8", "Signal=0\r\nDuration=x", '0', 160 * time.Millisecond},
		{"application/dtmf", "9", '9', 160 * time.Millisecond},
		{"application/dtmf", " #\r\n", '#', 160 * time.Millisecond},
		{"application/dtmf", "10", '*', 160 * time.Millisecond},
		{"application/dtmf", "Signal=7", '7', 160 * time.Millisecond},
	}
	for _, tt := range tests {
		digit, d, err := dtmf.ParseInfo(tt.contentType, []byte(tt.body))
		if err != nil || digit != tt.digit || d != tt.duration {
			t.Errorf("%s %q: %q, %v, %v; want %q, %v", tt.contentType, tt.body, digit, d, err, tt.digit, tt.duration)
		}
	}
	for _, tt := range []struct{ contentType, body string }{
		{relay, ""},
		{relay, "Signal=\r\nDuration=160"},
		{relay, "Signal=16\r\nDuration=160"}, // flash
		{relay, "Signal=!\r\n"},
		{relay, "Duration=160\r\n"},
		{relay, "Signal=99999999999999999999"},
		{"application/dtmf", "12345"},
		{"application/dtmf", "flash"},
		{"text/plain", "5"},
		{"", "5"},
	} {
		if digit, _, err := dtmf.ParseInfo(tt.contentType, []byte(tt.body)); !errors.Is(err, dtmf.ErrNotDigit) {
			t.Errorf("%s %q: %q, %v; want ErrNotDigit", tt.contentType, tt.body, digit, err)
		}
	}
}

// FuzzParseEvent holds two truths: no payload panics, and what ParseEvent
// accepts, Append writes back so that it reads the same event again.
func FuzzParseEvent(f *testing.F) {
	f.Add([]byte{11, 0x8a, 0x03, 0x20}) // '#' released after 100 ms
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		want, err := dtmf.ParseEvent(b)
		if err != nil {
			return
		}
		if got, err := dtmf.ParseEvent(want.Append(nil)); err != nil || got != want {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
	})
}

func FuzzParseInfo(f *testing.F) {
	f.Add("application/dtmf-relay", []byte("Signal=5\r\nDuration=160\r\n"))
	f.Add("application/dtmf", []byte("10"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		digit, d, err := dtmf.ParseInfo(contentType, body)
		if err != nil {
			if !errors.Is(err, dtmf.ErrNotDigit) {
				t.Errorf("error %v", err)
			}
			return
		}
		if err := dtmf.NewSender(8000).Press(digit, d); err != nil || d <= 0 {
			t.Errorf("%q for %v cannot be sent: %v", digit, d, err)
		}
	})
}
