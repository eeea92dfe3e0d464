package node

import (
	"errors"
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
			d := doors{wrong: map[string][]time.Time{}}
			got, err := d.enter(tt.cfg, &Admit{PIN: tt.pin, Role: tt.role, Outgoing: tt.outgoing, Referred: tt.referred}, time.Unix(0, 0))
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v, want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// More than 20 wrong PINs in 10 minutes block a room for 10 minutes at most.
func TestDoorsBlock(t *testing.T) {
	cfg := conference.Config{Name: "Both", HostPIN: "1234", AllowGuests: true}
	d := doors{wrong: map[string][]time.Time{}}
	start := time.Unix(1000, 0)
	try := func(room, pin string, at time.Duration) error {
		cfg.Name = room
		_, err := d.enter(cfg, &Admit{PIN: pin}, start.Add(at))
		return err
	}
	for i := range 21 {
		if err := try("Both", "0000", time.Duration(i)*time.Second); !errors.Is(err, ErrWrongPIN) {
			t.Fatalf("attempt %d: %v", i, err)
		}
		if i == 19 {
			if err := try("Both", "1234", time.Duration(i)*time.Second); err != nil {
				t.Fatalf("the right one after 20 wrong ones: %v", err)
			}
		}
	}
	for at := 21 * time.Second; at < 10*time.Minute; at += 10 * time.Second {
		for _, pin := range []string{"0000", "1234"} {
			if err := try("both", pin, at); !errors.Is(err, ErrPINBlocked) {
				t.Fatalf("%s after %v: %v", pin, at, err)
			}
		}
	}
	if err := try("Both", NoPIN, time.Minute); err != nil {
		t.Errorf("a guest meanwhile: %v", err)
	}
	if err := try("Other", "1234", time.Minute); err != nil {
		t.Errorf("another room meanwhile: %v", err)
	}
	if err := try("Both", "1234", 10*time.Minute-time.Nanosecond); !errors.Is(err, ErrPINBlocked) {
		t.Errorf("just before the end: %v", err)
	}
	if err := try("Both", "1234", 10*time.Minute); err != nil {
		t.Errorf("at the end: %v", err)
	}
	if err := try("Both", "0000", 10*time.Minute); !errors.Is(err, ErrWrongPIN) {
		t.Errorf("wrong at the end: %v", err)
	}
	if err := try("Both", "1234", 10*time.Minute); !errors.Is(err, ErrPINBlocked) {
		t.Errorf("21 again: %v", err)
	}
	if err := try("Both", strings.Repeat("1", 20), time.Hour); !errors.Is(err, ErrWrongPIN) {
		t.Errorf("an hour later: %v", err)
	}
	if n := len(d.wrong); n != 1 {
		t.Errorf("%d rooms are remembered", n)
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
			d := doors{wrong: map[string][]time.Time{}}
			if err := d.authorize(tt.cfg, &Authorize{Role: tt.role, PIN: tt.pin}, time.Unix(0, 0)); !errors.Is(err, tt.err) {
				t.Errorf("got %v, want %v", err, tt.err)
			}
			if n := len(d.wrong[keyOf(tt.cfg.Name)]); (n > 0) != errors.Is(tt.err, ErrWrongPIN) {
				t.Errorf("%d wrong PINs counted", n)
			}
		})
	}
}
