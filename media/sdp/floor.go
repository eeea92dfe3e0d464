package sdp

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A Floor is the floor control of a call's slides (BFCP, RFC 8855): an m-line
// of its own, negotiated by RFC 8856.
type Floor struct {
	Index int    // position of the m-line
	Proto string // "UDP/BFCP" or "TCP/BFCP", as the peer writes it

	// Address is where the peer receives. Invalid while it does not say: on
	// hold by 0.0.0.0, or a host name.
	Address netip.AddrPort

	// Role is what we are: client or server.
	Role FloorRole

	// Server are the identifiers that the peer uses with us as the server,
	// Client those that we use with the peer. Each is set if Role says so.
	Server, Client FloorID

	// Over TCP: Active says that it is us who connect, Existing that the
	// connection of the previous agreement stays (RFC 4145).
	Active, Existing bool

	association string // how the peer spells "mstrm"
}

// TCP reports whether the floor is controlled over a connection.
func (f *Floor) TCP() bool { return floorProtocols[strings.ToUpper(f.Proto)] == tcpVersion }

// A FloorID names a conference, a user in it, and the floor that the user asks
// for.
type FloorID struct {
	Conference  uint32
	User, Floor uint16
}

// A FloorRole is what one side does in floor control (RFC 8856 section 5.1). Both
// together are offered by who lets the other side choose.
type FloorRole int

// The roles.
const (
	FloorClient FloorRole = 1 << iota // asks for the floor: "c-only"
	FloorServer                       // grants it: "s-only"
)

func (r FloorRole) String() string {
	switch r {
	case FloorClient:
		return "c-only"
	case FloorServer:
		return "s-only"
	case FloorClient | FloorServer:
		return "c-only s-only"
	}
	return "none"
}

// one is the role that we take of those that fit: the one that we had, or else
// server, because it is the conference that decides.
func (r FloorRole) one(prev *Agreement) FloorRole {
	switch {
	case r != FloorClient|FloorServer:
		return r
	case prev != nil && prev.Floor != nil:
		return prev.Floor.Role
	}
	return FloorServer
}

// counterparts are the roles that the peer of r can take.
func (r FloorRole) counterparts() FloorRole {
	return r&FloorClient<<1 | r&FloorServer>>1
}

// The versions of BFCP (RFC 8855 section 5.1).
const (
	tcpVersion = "1"
	udpVersion = "2"
)

// floorProtocols are the transports we speak, each with its version.
var floorProtocols = map[string]string{
	"TCP/BFCP": tcpVersion,
	"UDP/BFCP": udpVersion,
}

// defaultLabel names the slides when the peer does not.
const defaultLabel = "3"

// addSlides writes what a floor refers to. s is what is known of the stream,
// nil if nothing.
func (m *Media) addSlides(s *Stream) {
	label := defaultLabel
	if s != nil {
		label = cmp.Or(s.Label, defaultLabel)
	}
	m.Attributes.add("label", label)
}

// answerFloor takes the floor control that is offered with the slides, if
// roles and version fit.
func (c *Capabilities) answerFloor(a *Agreement, offer *Description, prev *Agreement) {
	slides := a.Stream(Slides)
	if slides == nil || c.Floor == 0 {
		return
	}
	for i := range offer.Media {
		m := &offer.Media[i]
		if m.kind() != control || m.Port == 0 {
			continue
		}
		f := offer.floor(i)
		their, known := m.floorID(slides.Label)
		theirs := m.floorRole(FloorClient)
		f.negotiate(c.Floor, theirs, their, known, prev)
		// The peer's own identifiers are as good as ours, and rooms that offer
		// to be a client and name a conference all the same stay with it.
		switch {
		case f.Role&FloorServer == 0:
		case prev != nil && prev.Floor != nil && prev.Floor.Role&FloorServer != 0:
			f.Server = prev.Floor.Server
		case known:
			f.Server = their
		default:
			f.Server = newFloorID()
		}
		if f.TCP() {
			f.Active = offer.setup(m) == "passive"
			f.Existing = f.Existing && prev != nil && prev.Floor != nil
		}
		if f.Role == 0 || !m.speaksBFCP() || f.Active && !f.Address.IsValid() {
			continue
		}
		answer := f.media(cmp.Or(slides.Label, defaultLabel), m.Attributes.Has("bfcpver"))
		answer.Formats = m.Formats
		a.draft.lines[i] = line{kind: control, media: answer}
		a.Floor = f
		return
	}
}

// offerFloor offers floor control for the slides of that label; prev is what
// was agreed on, nil if nothing. A first offer is for UDP, which every room has.
func (c *Capabilities) offerFloor(prev *Floor, label string) line {
	f := &Floor{Proto: "UDP/BFCP", Role: c.Floor, Server: newFloorID()}
	if prev != nil {
		again := *prev
		f, f.Existing = &again, true
	}
	return line{kind: control, media: f.media(cmp.Or(label, defaultLabel), true)}
}

// acceptFloor reads the answer to the floor that o offers.
func (o *Offer) acceptFloor(a *Agreement, answer *Description) {
	i := slices.IndexFunc(a.draft.lines, func(l line) bool { return l.kind == control })
	if i < 0 {
		return
	}
	l := &a.draft.lines[i]
	slides := a.Stream(Slides)
	if slides != nil && i < len(answer.Media) && answer.Media[i].kind() == control && answer.Media[i].Port != 0 {
		m := &answer.Media[i]
		f := answer.floor(i)
		their, known := m.floorID(slides.Label)
		f.negotiate(l.media.floorRole(0), m.floorRole(FloorServer), their, known, nil)
		if f.Role&FloorServer != 0 {
			f.Server, _ = l.media.floorID("")
		}
		f.Active = f.TCP() && answer.setup(m) == "passive"
		if f.Role != 0 && m.speaksBFCP() && strings.EqualFold(m.Proto, l.media.Proto) && !(f.Active && !f.Address.IsValid()) {
			a.Floor = f
			return
		}
	}
	*l = line{media: refused(&l.media)}
}

// negotiate sets our role, and the identifiers that we use with the peer. A
// peer that names none is no server.
func (f *Floor) negotiate(ours, theirs FloorRole, their FloorID, known bool, prev *Agreement) {
	if !known {
		ours &^= FloorClient
	}
	f.Role = (ours & theirs.counterparts()).one(prev)
	if f.Role&FloorClient != 0 {
		f.Client = their
	}
}

// floor reads from an m-line what does not depend on roles.
func (d *Description) floor(index int) *Floor {
	m := &d.Media[index]
	f := &Floor{Index: index, Proto: m.Proto, association: "mstrm"}
	if addr, _ := d.address(m); addr.IsValid() {
		f.Address = netip.AddrPortFrom(addr, uint16(m.Port))
	}
	if f.TCP() {
		connection, _ := m.Attributes.Get("connection")
		f.Existing = connection == "existing"
	}
	for v := range m.Attributes.all("floorid") {
		if strings.Contains(v, "m-stream:") {
			f.association = "m-stream" // RFC 4583
		}
	}
	return f
}

// media writes our side of f, whose slides have that label.
func (f *Floor) media(label string, version bool) Media {
	m := Media{Type: "application", Proto: f.Proto, Formats: []string{"*"}}
	m.Attributes.add("floorctrl", f.Role.String())
	if f.Role&FloorServer != 0 {
		m.Attributes.add("confid", strconv.FormatUint(uint64(f.Server.Conference), 10))
		m.Attributes.add("userid", strconv.Itoa(int(f.Server.User)))
		m.Attributes.add("floorid", strconv.Itoa(int(f.Server.Floor))+" "+cmp.Or(f.association, "mstrm")+":"+label)
	}
	if version {
		m.Attributes.add("bfcpver", floorProtocols[strings.ToUpper(f.Proto)])
	}
	if f.TCP() {
		setup, connection := "passive", "new"
		if f.Active {
			setup = "active"
		}
		if f.Existing {
			connection = "existing"
		}
		m.Attributes.add("setup", setup)
		m.Attributes.add("connection", connection)
	}
	return m
}

// floorRole reads a=floorctrl: one role, or several to choose from, which RFC 4583
// also spelled "c-s".
func (m *Media) floorRole(missing FloorRole) FloorRole {
	v, ok := m.Attributes.Get("floorctrl")
	if !ok {
		return missing
	}
	var r FloorRole
	for role := range strings.FieldsSeq(strings.ToLower(v)) {
		switch role {
		case "c-only":
			r |= FloorClient
		case "s-only":
			r |= FloorServer
		case "c-s":
			r |= FloorClient | FloorServer
		}
	}
	return r
}

// floorID reads a=confid, a=userid and, of several a=floorid, the one for the
// stream of that label, else the first. ok is false if one is missing or no
// number.
func (m *Media) floorID(label string) (id FloorID, ok bool) {
	conference, _ := m.Attributes.Get("confid")
	user, _ := m.Attributes.Get("userid")
	c, errC := strconv.ParseUint(conference, 10, 32)
	u, errU := strconv.ParseUint(user, 10, 16)
	if errC != nil || errU != nil {
		return FloorID{}, false
	}
	id = FloorID{Conference: uint32(c), User: uint16(u)}
	for v := range m.Attributes.all("floorid") {
		number, labels := splitFloor(v)
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			continue
		}
		if exact := slices.Contains(labels, label); exact || !ok {
			id.Floor, ok = uint16(n), true
			if exact {
				break
			}
		}
	}
	if !ok {
		return FloorID{}, false
	}
	return id, true
}

// splitFloor reads "1 mstrm:10 11", or "m-stream" as RFC 4583 has it in its
// examples.
func splitFloor(v string) (number string, labels []string) {
	f := strings.Fields(v)
	if len(f) == 0 {
		return "", nil
	}
	for _, l := range f[1:] {
		if _, after, found := strings.Cut(l, ":"); found {
			l = after
		}
		labels = append(labels, l)
	}
	return f[0], labels
}

// controls reports whether a floor of d is for the stream of that label.
func (d *Description) controls(label string) bool {
	for i := range d.Media {
		if m := &d.Media[i]; m.kind() == control {
			for v := range m.Attributes.all("floorid") {
				if _, labels := splitFloor(v); slices.Contains(labels, label) {
					return true
				}
			}
		}
	}
	return false
}

// speaksBFCP reports whether the peer has the version of the transport. Who
// lists none has it.
func (m *Media) speaksBFCP() bool {
	v, ok := m.Attributes.Get("bfcpver")
	return !ok || slices.Contains(strings.Fields(v), floorProtocols[strings.ToUpper(m.Proto)])
}

// setup is what the peer does about a connection (RFC 4145), of the m-line or
// else of the session. Who offers to do either is left to connect: it may be
// behind a NAT, and we are not.
func (d *Description) setup(m *Media) string {
	if v, ok := m.Attributes.Get("setup"); ok {
		return v
	}
	v, _ := d.Attributes.Get("setup")
	return v
}

// newFloorID makes identifiers for a call: the conference is no secret, but
// nobody who did not see the SDP can guess it.
func newFloorID() FloorID {
	return FloorID{Conference: rand.Uint32()>>1 | 1, User: 1, Floor: 1}
}
