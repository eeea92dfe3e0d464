package node

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/actors/conference"
)

func TestDoors(t *testing.T) {
	open := conference.Config{Name: "open"}
	hosts := conference.Config{Name: "hosts", HostPIN: "1234"}
	free := conference.Config{Name: "free", HostPIN: "1234#", AllowGuests: true}
	both := conference.Config{Name: "both", HostPIN: "1234", GuestPIN: "5678", AllowGuests: true}
	tests := []struct {
		name     string
		cfg      conference.Config
		pin      string
		role     string // that the caller asks for
		outgoing bool
		referred bool
		want     string
		err      error
	}{
		{name: "no PIN needed", cfg: open},
		{name: "no PIN needed, one given", cfg: open, pin: "99"},
		{name: "no PIN needed, to be a guest", cfg: open, pin: NoPIN, role: "guest", want: "guest"},
		{name: "host PIN", cfg: hosts, pin: "1234", want: "host"},
		{name: "host PIN, the caller would be a guest", cfg: hosts, pin: "1234", role: "guest", want: "host"},
		{name: "host PIN with #", cfg: hosts, pin: "1234#", want: "host"},
		{name: "host PIN without #", cfg: free, pin: "1234", want: "host"},
		{name: "part of it", cfg: hosts, pin: "123", err: ErrWrongPIN},
		{name: "more than it", cfg: hosts, pin: "12345", err: ErrWrongPIN},
		{name: "#", cfg: both, pin: "#", err: ErrWrongPIN},
		{name: "no guests", cfg: hosts, err: ErrPIN},
		{name: "no guests, to be one", cfg: hosts, pin: NoPIN, err: ErrPIN},
		{name: "guests without PIN", cfg: free, err: ErrHostPIN},
		{name: "guests without PIN, to be one", cfg: free, pin: NoPIN, want: "guest"},
		{name: "guests without PIN, the caller would be a host", cfg: free, pin: NoPIN, role: "host", want: "guest"},
		{name: "guests without PIN, empty guest PIN", cfg: free, pin: "#", err: ErrWrongPIN},
		{name: "guest PIN", cfg: both, pin: "5678", want: "guest"},
		{name: "both, none given", cfg: both, err: ErrPIN},
		{name: "both, to be a guest", cfg: both, pin: NoPIN, err: ErrPIN},
		{name: "referred", cfg: both, referred: true, role: "guest", want: "guest"},
		{name: "a viewer where no PIN is needed", cfg: open, pin: NoPIN, role: "viewer", want: "viewer"},
		{name: "a viewer where guests need none", cfg: free, pin: NoPIN, role: "viewer", want: "viewer"},
		{name: "a viewer where guests need one", cfg: both, pin: NoPIN, role: "viewer", err: ErrPIN},
		{name: "a viewer with the host PIN", cfg: both, pin: "1234", role: "viewer", want: "viewer"},
		{name: "a viewer with the guest PIN", cfg: both, pin: "5678", role: "viewer", want: "viewer"},
		{name: "a viewer with a wrong PIN", cfg: free, pin: "0000", role: "viewer", err: ErrWrongPIN},
		{name: "called by us", cfg: both, outgoing: true, role: "guest", want: "guest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := doors{}
			got := d.enter(tt.cfg, &Admit{PIN: tt.pin, Role: tt.role, Outgoing: tt.outgoing, Referred: tt.referred}, time.Unix(0, 0))
			if got.role != tt.want || !errors.Is(got.err, tt.err) {
				t.Errorf("got %q, %v, want %q, %v", got.role, got.err, tt.want, tt.err)
			}
		})
	}
}

// More than 20 wrong PINs in 10 minutes block a source from a room for as long
// as is left of them, and nobody else.
func TestDoorsBlock(t *testing.T) {
	d := doors{}
	start := time.Unix(1000, 0)
	attacker, host := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	try := func(room string, from netip.Addr, pin string, at time.Duration) error {
		cfg := conference.Config{Name: room, HostPIN: "1234", AllowGuests: true}
		return d.enter(cfg, &Admit{PIN: pin, Source: from}, start.Add(at)).err
	}
	for i := range 21 {
		at := time.Duration(i) * time.Second
		if err := try("Both", attacker, "0000", at); !errors.Is(err, ErrWrongPIN) {
			t.Fatalf("attempt %d: %v", i, err)
		}
		if i == 19 {
			if err := try("Both", attacker, "1234", at); err != nil {
				t.Fatalf("the right one after 20 wrong ones: %v", err)
			}
		}
	}
	for at := 21 * time.Second; at < wrongWindow; at += 10 * time.Second {
		for _, pin := range []string{"0000", "1234"} {
			if err := try("both", attacker, pin, at); !errors.Is(err, ErrPINBlocked) {
				t.Fatalf("%s after %v: %v", pin, at, err)
			}
		}
		if err := try("both", host, "1234", at); err != nil {
			t.Fatalf("the host after %v: %v", at, err)
		}
	}
	if err := try("Both", attacker, NoPIN, time.Minute); err != nil {
		t.Errorf("a guest meanwhile: %v", err)
	}
	if err := try("Other", attacker, "1234", time.Minute); err != nil {
		t.Errorf("another room meanwhile: %v", err)
	}
	if err := try("Both", attacker, "1234", wrongWindow-time.Nanosecond); !errors.Is(err, ErrPINBlocked) {
		t.Errorf("just before the end: %v", err)
	}
	for i := range 21 {
		if err := try("Both", attacker, "0000", wrongWindow); !errors.Is(err, ErrWrongPIN) {
			t.Errorf("wrong at the end, attempt %d: %v", i, err)
		}
	}
	if err := try("Both", attacker, "1234", wrongWindow); !errors.Is(err, ErrPINBlocked) {
		t.Errorf("21 again: %v", err)
	}
	if err := try("Both", attacker, strings.Repeat("1", 20), time.Hour); !errors.Is(err, ErrWrongPIN) {
		t.Errorf("an hour later: %v", err)
	}
	if n, m := len(d.sources[0].counts), len(d.rooms.counts); n != 1 || m != 1 {
		t.Errorf("%d sources and %d rooms are remembered", n, m)
	}
}

// Addresses of which one owner has many count as one.
func TestDoorsSources(t *testing.T) {
	cfg := conference.Config{Name: "r", HostPIN: "1234"}
	for _, tt := range []struct {
		wrong, then string
		blocked     bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff:0:0:2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
		{"", "", true},
		{"", "192.0.2.1", false},
		{"192.0.2.1", "", false},
	} {
		wrong, _ := netip.ParseAddr(tt.wrong) // the zero Addr of an empty string
		then, _ := netip.ParseAddr(tt.then)
		d := doors{}
		for range maxWrong + 1 {
			d.enter(cfg, &Admit{PIN: "0000", Source: wrong}, time.Unix(0, 0))
		}
		v := d.enter(cfg, &Admit{PIN: "1234", Source: then}, time.Unix(0, 0))
		if blocked := errors.Is(v.err, ErrPINBlocked); blocked != tt.blocked {
			t.Errorf("wrong from %q: %q is blocked: %v", tt.wrong, tt.then, blocked)
		}
	}
}

// Who has many addresses has hardly more attempts, and leaves the room open to
// whoever comes from elsewhere, also with some wrong PINs.
func TestDoorsNetworks(t *testing.T) {
	for _, tt := range []struct {
		name string
		from func(i int) string // of attempt i
		want int                // attempts
	}{
		{"an address", func(int) string { return "192.0.2.1" }, 21},
		{"a /64", func(i int) string { return fmt.Sprintf("2001:db8::%x", i) }, 21},
		{"a /56, one after another", func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i&0xff) }, 61},
		{"a /56, each until it is closed", func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i/21&0xff) }, 61},
		{"a /48", func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i*0x101&0xffff) }, 201},
		{"ten /48, in turn", func(i int) string { return fmt.Sprintf("2001:db8:%x:%x::1", i%10, i*0x101&0xffff) }, 10 * 21},
		{"100 addresses, in turn", func(i int) string { return fmt.Sprintf("198.51.100.%d", i%100) }, 100 * 3},
		{"100 addresses, each until it is closed", func(i int) string { return fmt.Sprintf("198.51.100.%d", i/21%100) }, 9*21 + 12 + 90*3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := conference.Config{Name: "r", HostPIN: "1234"}
			d, now, compared := doors{}, time.Unix(0, 0), 0
			for i := range 20_000 {
				v := d.enter(cfg, &Admit{PIN: "0000", Source: netip.MustParseAddr(tt.from(i))}, now)
				if errors.Is(v.err, ErrWrongPIN) {
					compared++
				}
			}
			if compared != tt.want {
				t.Errorf("%d PINs were compared, want %d", compared, tt.want)
			}
			for _, elsewhere := range []string{"203.0.113.1", "2001:db8:ffff::1"} {
				for _, pin := range []string{"1243", "2134", "1234"} {
					v := d.enter(cfg, &Admit{PIN: pin, Source: netip.MustParseAddr(elsewhere)}, now)
					if (v.err == nil) != (pin == cfg.HostPIN) || errors.Is(v.err, ErrPINBlocked) {
						t.Errorf("%s from %s: %v", pin, elsewhere, v.err)
					}
				}
			}
		})
	}
}

// What is remembered of a flood of wrong PINs is bounded, and what counts for wide
// networks is not forgotten for it.
func TestDoorsFlood(t *testing.T) {
	cfg := conference.Config{Name: "r", HostPIN: "1234", AllowGuests: true}
	d := doors{}
	now := time.Unix(0, 0)
	enter := func(from, pin string, want error) {
		t.Helper()
		if v := d.enter(cfg, &Admit{PIN: pin, Source: netip.MustParseAddr(from)}, now); !errors.Is(v.err, want) {
			t.Fatalf("%s from %v: %v, want %v", pin, from, v.err, want)
		}
	}
	for i := range 2 * maxSources {
		now = now.Add(time.Millisecond)
		enter(fmt.Sprintf("2001:db8:%x:%x::1", i/20, i*0x101&0xffff), "0000", ErrWrongPIN)
	}
	for i := range d.sources {
		if n := len(d.sources[i].counts); n > maxSources || len(d.sources[i].order) != n {
			t.Errorf("%d sources of width %d are remembered", n, widths[i].bits)
		}
	}
	enter("2001:db8:0:ffff::1", "0000", ErrWrongPIN)
	enter("2001:db8:0:ffff::1", "1234", ErrPINBlocked)
	enter("192.0.2.1", "1234", nil)
	enter("2001:db8:0:ffff::1", NoPIN, nil)
	now = now.Add(wrongWindow)
	enter("2001:db8:0:ffff::1", "1234", nil)
	if len(d.sources[0].counts) != 0 || len(d.rooms.counts) != 0 {
		t.Error("what is over is remembered")
	}
}

// Who sends others into a room needs the PIN of the role that they are to have.
func TestAuthorize(t *testing.T) {
	free := conference.Config{Name: "free", HostPIN: "1234", AllowGuests: true}
	both := conference.Config{Name: "both", HostPIN: "1234", GuestPIN: "5678", AllowGuests: true}
	for _, tt := range []struct {
		name string
		cfg  conference.Config
		role string
		pin  string
		err  error
	}{
		{"no PINs", conference.Config{Name: "open"}, "host", "", nil},
		{"guest without", free, "guest", "", nil},
		{"host without", free, "host", "", ErrHostPIN},
		{"host as a guest", free, "host", NoPIN, ErrRole},
		{"host", free, "host", "1234", nil},
		{"guest with the host's", both, "guest", "1234", nil},
		{"guest", both, "guest", "5678", nil},
		{"guest without where it is needed", both, "guest", "", ErrPIN},
		{"host with the guests'", both, "host", "5678", ErrRole},
		{"wrong", both, "guest", "0000", ErrWrongPIN},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := doors{}
			if v := d.authorize(tt.cfg, &Authorize{Role: tt.role, PIN: tt.pin}, time.Unix(0, 0)); !errors.Is(v.err, tt.err) {
				t.Errorf("got %v, want %v", v.err, tt.err)
			}
			if n := d.sources[0].count(wrongKey{room: keyOf(tt.cfg.Name)}, time.Unix(0, 0)); (n > 0) != errors.Is(tt.err, ErrWrongPIN) {
				t.Errorf("%d wrong PINs counted", n)
			}
		})
	}
}
