package node

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/netip"
	"strings"
	"time"

	"github.com/skybridge-media/skybridge/actors/conference"
)

// NoPIN in place of a PIN says that the caller wants to be a guest, and has none.
const NoPIN = "none"

const (
	// A room takes no PINs from a source of which more than maxWrong were wrong
	// within wrongWindow.
	maxWrong    = 20
	wrongWindow = 10 * time.Minute

	// When more than maxWrongRoom were, from wherever, a source may give only this
	// part of the wrong ones: many attackers get few attempts each, and who comes
	// from elsewhere has some to mistype.
	maxWrongRoom = 200
	whenMany     = 10

	// maxSources bounds how many sources of a width are remembered.
	maxSources = 10_000
)

// widths are the networks of IPv6 by which wrong PINs are counted: what one
// connection, a home and a site are given. An IPv4 address is the same in each.
var widths = [...]struct{ bits, max int }{{64, maxWrong}, {56, 3 * maxWrong}, {48, 10 * maxWrong}}

// doors decides who enters a room as what. It is plain data, and counts the
// wrong PINs that this node has seen; an attacker who goes from node to node
// has as many attempts at each.
type doors struct {
	sources [len(widths)]tally // wrong PINs by room and source
	rooms   tally              // by room alone
}

// A verdict is what a door says.
type verdict struct {
	role string // as which the caller may enter
	err  error
}

// enter decides about a caller. Viewers need a PIN where guests do, and stay
// viewers with any.
func (d *doors) enter(cfg conference.Config, m *Admit, now time.Time) verdict {
	v := d.check(cfg, m, now)
	if v.err == nil && m.Role == conference.RoleViewer {
		v.role = conference.RoleViewer
	}
	return v
}

// check finds the role that a PIN is for. Who we have called, or who was
// referred, needs none.
func (d *doors) check(cfg conference.Config, m *Admit, now time.Time) verdict {
	switch {
	case m.Outgoing || m.Referred || cfg.HostPIN == "":
		return verdict{role: m.Role}
	case m.PIN == "" && cfg.GuestsNeedPIN():
		return verdict{err: ErrPIN}
	case m.PIN == "":
		return verdict{err: ErrHostPIN}
	case m.PIN == NoPIN && !cfg.GuestsNeedPIN():
		return verdict{role: conference.RoleGuest}
	case m.PIN == NoPIN:
		return verdict{err: ErrPIN}
	}
	return d.try(cfg, m.PIN, m.Source, now)
}

// try compares a PIN, unless its source has tried too many.
func (d *doors) try(cfg conference.Config, pin string, source netip.Addr, now time.Time) (v verdict) {
	if d.blocked(cfg, source, now) {
		return verdict{err: ErrPINBlocked} // and does not count, so that the block ends however often somebody tries
	}
	// Both are compared, whatever the first says, so that the time that it takes
	// tells nothing.
	asHost, asGuest := samePIN(pin, cfg.HostPIN), samePIN(pin, cfg.GuestPIN)
	switch {
	case asHost:
		v.role = conference.RoleHost
	case asGuest && cfg.AllowGuests && cfg.GuestPIN != "":
		v.role = conference.RoleGuest
	default:
		v.err = ErrWrongPIN
		d.count(cfg, source, now)
	}
	return v
}

// blocked reports whether no PIN that source gives would be compared.
func (d *doors) blocked(cfg conference.Config, source netip.Addr, now time.Time) bool {
	key, part := wrongKey{room: keyOf(cfg.Name)}, 1
	if d.rooms.count(key, now) > maxWrongRoom {
		part = whenMany
	}
	for i, w := range widths {
		key.from = networkOf(source, w.bits)
		if d.sources[i].count(key, now) > w.max/part {
			return true
		}
	}
	return false
}

// count counts a wrong PIN.
func (d *doors) count(cfg conference.Config, source netip.Addr, now time.Time) {
	key := wrongKey{room: keyOf(cfg.Name)}
	d.rooms.add(key, now)
	for i, w := range widths {
		key.from = networkOf(source, w.bits)
		d.sources[i].add(key, now)
	}
}

// authorize says why a caller may not enter as that role. Who has the PIN of
// hosts may send somebody in as a guest.
func (d *doors) authorize(cfg conference.Config, m *Authorize, now time.Time) verdict {
	pin := m.PIN
	if pin == "" && m.Role == conference.RoleGuest {
		pin = NoPIN
	}
	v := d.enter(cfg, &Admit{PIN: pin, Role: m.Role, Source: m.Source}, now)
	if v.err == nil && v.role == conference.RoleGuest && m.Role != conference.RoleGuest {
		v.err = ErrRole
	}
	return v
}

// networkOf returns what stands for an address where its owner may have others:
// of IPv6 its first bits. The zero Addr, which nobody has, is a network of its
// own.
func networkOf(a netip.Addr, bits int) netip.Prefix {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		bits = a.BitLen()
	}
	p, _ := a.Prefix(bits) // the zero Prefix of the zero Addr
	return p
}

// wrongKey is what wrong PINs are counted by.
type wrongKey struct {
	room string
	from netip.Prefix // the zero Prefix where all sources count together
}

// tally counts wrong PINs, of each key for wrongWindow from the first. It
// remembers maxSources keys, and then forgets the oldest for a new one: who has
// so many addresses has as many attempts anyway. The zero value is ready.
type tally struct {
	counts map[wrongKey]wrongs
	order  []wrongKey // of counts, oldest first
}

type wrongs struct {
	n     int
	since time.Time
}

// count returns how many k has had within the window.
func (t *tally) count(k wrongKey, now time.Time) int {
	for len(t.order) > 0 && now.Sub(t.counts[t.order[0]].since) >= wrongWindow {
		t.forget()
	}
	return t.counts[k].n
}

func (t *tally) add(k wrongKey, now time.Time) {
	if t.counts == nil {
		t.counts = map[wrongKey]wrongs{}
	}
	w, known := t.counts[k]
	if !known {
		if len(t.order) >= maxSources {
			t.forget()
		}
		t.order = append(t.order, k)
		w.since = now
	}
	w.n++
	t.counts[k] = w
}

// forget forgets the oldest key.
func (t *tally) forget() {
	delete(t.counts, t.order[0])
	t.order = t.order[1:]
}

// samePIN compares in a time that does not depend on where they differ. The "#"
// with which telephones end a PIN is not part of it.
func samePIN(a, b string) bool {
	x, y := sha256.Sum256([]byte(strings.TrimSuffix(a, "#"))), sha256.Sum256([]byte(strings.TrimSuffix(b, "#")))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
