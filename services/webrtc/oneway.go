package webrtc

// A way is where media goes in a call.
type way int

const (
	bothWays way = iota
	inward       // the peer is a publisher: it only sends (WHIP)
	outward      // the peer is a viewer: it only receives (WHEP)
)

func wayOf(publisher, viewer bool) way {
	switch {
	case publisher:
		return inward
	case viewer:
		return outward
	}
	return bothWays
}

// oneWay refuses what a publisher or a viewer must not offer, and makes our
// answer what it must be for one: recvonly (RFC 9725 section 4.2) or sendonly
// (draft-ietf-wish-whep-03, media direction attributes), whatever the offer would allow.
func (c *choice) oneWay() error {
	for i, s := range c.offer.sections {
		k := kind(s.media)
		if c.offer.way == bothWays || (k != audio && k != video) || !s.offered || c.offer.alone && k == audio {
			continue
		}
		switch {
		case c.offer.way == inward && !s.sends:
			return invalid("sdp: media %d (%s) is offered %s, and a publisher sends", i, s.media, s.direction())
		case c.offer.way == outward && !s.receives:
			return invalid("sdp: media %d (%s) is offered %s, and a viewer receives", i, s.media, s.direction())
		case c.offer.way == inward && c.roles[i] == parked:
			// RFC 9725 section 4.4.2
			return invalid("sdp: media %d is a second one of kind %s, and one is taken", i, s.media)
		case c.offer.way == inward && c.roles[i] == refused:
			// RFC 9725 section 4.4.3: half of it would mislead who publishes.
			return invalid("sdp: media %d (%s) has no codec in common with us, or lacks a bundle or rtcp-mux", i, s.media)
		}
		switch st := c.picks[i]; {
		case st == nil:
		case c.offer.way == inward:
			st.send = false
		default:
			st.recv = false
		}
	}
	return nil
}

// direction is that of the offer, in SDP.
func (s *section) direction() string {
	return (&stream{send: s.sends, recv: s.receives}).direction()
}
