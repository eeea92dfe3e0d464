package node

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"time"

	"github.com/skybridge-media/skybridge/actors/conference"
)

// NoPIN in place of a PIN says that the caller wants to be a guest, and has none.
const NoPIN = "none"

// A room takes no PINs while more than maxWrong were wrong within wrongWindow.
const (
	maxWrong    = 20
	wrongWindow = 10 * time.Minute
)

// doors decides who enters a room as what. It is plain data, and counts the
// wrong PINs that this node has seen; an attacker who goes from node to node
// has as many attempts at each.
type doors struct {
	wrong map[string][]time.Time // by key of the room; the last maxWrong+1 of the window
}

// enter returns the role of a caller. Viewers need a PIN where guests do, and
// stay viewers with any.
func (d *doors) enter(cfg conference.Config, m *Admit, now time.Time) (role string, err error) {
	role, err = d.check(cfg, m, now)
	if err == nil && m.Role == conference.RoleViewer {
		role = conference.RoleViewer
	}
	return role, err
}

// check returns the role that a PIN is for. Who we have called, or who was
// referred, needs none.
func (d *doors) check(cfg conference.Config, m *Admit, now time.Time) (role string, err error) {
	switch {
	case m.Outgoing || m.Referred || cfg.HostPIN == "":
		return m.Role, nil
	case m.PIN == "" && cfg.GuestsNeedPIN():
		return "", ErrPIN
	case m.PIN == "":
		return "", ErrHostPIN
	case m.PIN == NoPIN && !cfg.GuestsNeedPIN():
		return conference.RoleGuest, nil
	case m.PIN == NoPIN:
		return "", ErrPIN
	}
	key := keyOf(cfg.Name)
	if d.blocked(key, now) {
		return "", ErrPINBlocked
	}
	// Both are compared, whatever the first says, so that the time that it takes
	// tells nothing.
	asHost, asGuest := samePIN(m.PIN, cfg.HostPIN), samePIN(m.PIN, cfg.GuestPIN)
	switch {
	case asHost:
		return conference.RoleHost, nil
	case asGuest && cfg.AllowGuests && cfg.GuestPIN != "":
		return conference.RoleGuest, nil
	}
	d.wrong[key] = append(d.wrong[key], now)
	return "", ErrWrongPIN
}

// authorize says why a caller may not enter as that role. Who has the PIN of
// hosts may send somebody in as a guest.
func (d *doors) authorize(cfg conference.Config, m *Authorize, now time.Time) error {
	pin := m.PIN
	if pin == "" && m.Role == conference.RoleGuest {
		pin = NoPIN
	}
	role, err := d.enter(cfg, &Admit{PIN: pin, Role: m.Role}, now)
	if err == nil && role == conference.RoleGuest && m.Role != conference.RoleGuest {
		err = ErrRole
	}
	return err
}

// blocked reports whether a room takes no PINs now. Attempts meanwhile do not
// count, so that it opens again however often somebody tries.
func (d *doors) blocked(key string, now time.Time) bool {
	times := d.wrong[key]
	for len(times) > 0 && now.Sub(times[0]) >= wrongWindow {
		times = times[1:]
	}
	if len(times) == 0 {
		delete(d.wrong, key)
		return false
	}
	d.wrong[key] = times
	return len(times) > maxWrong
}

// samePIN compares in a time that does not depend on where they differ. The "#"
// with which telephones end a PIN is not part of it.
func samePIN(a, b string) bool {
	x, y := sha256.Sum256([]byte(strings.TrimSuffix(a, "#"))), sha256.Sum256([]byte(strings.TrimSuffix(b, "#")))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
