package webrtc

import (
	"context"
	"fmt"
	"slices"
	"strings"

	pion "github.com/pion/webrtc/v4"
)

// AddCandidate takes one of the peer's candidates, the value of an a=candidate
// line with or without its name; an empty one ends them. ufrag names the ICE
// generation and may be empty; candidates of another one than the current are
// ignored.
func (c *Call) AddCandidate(candidate, ufrag string) error {
	c.negotiation.Lock()
	defer c.negotiation.Unlock()
	if ufrag != "" && ufrag != c.choice.via.ufrag {
		return nil
	}
	return c.add(candidate)
}

// add takes a candidate of the current ICE generation. Callers hold
// negotiation.
func (c *Call) add(candidate string) error {
	c.candidates++
	switch {
	case c.isClosed():
		return errEnded
	case c.candidates > maxCandidates:
		return invalid("more than %d candidates", maxCandidates)
	}
	candidate = strings.TrimPrefix(candidate, "a=")
	if err := c.pc.AddICECandidate(pion.ICECandidateInit{Candidate: candidate}); err != nil {
		return invalid("candidate: %v", err)
	}
	return nil
}

// Trickle takes the candidates of an SDP fragment (RFC 8840 section 9).
func (c *Call) Trickle(fragment string) error {
	f, err := parseFragment(fragment)
	if err != nil {
		return err
	}
	for _, candidate := range f.candidates {
		if err := c.AddCandidate(candidate, f.ufrag); err != nil {
			return err
		}
	}
	return nil
}

// Restart restarts ICE with the credentials and candidates of an SDP fragment,
// and returns the fragment that answers it (RFC 9725 section 4.3.3). A fragment
// with the credentials that are in force restarts nothing: its candidates are
// taken, and the answer is empty.
func (c *Call) Restart(ctx context.Context, fragment string) (string, error) {
	f, err := parseFragment(fragment)
	if err != nil {
		return "", err
	}
	if err := checkCredentials(f.ufrag, f.pwd); err != nil {
		return "", err
	}
	c.negotiation.Lock()
	defer c.negotiation.Unlock()
	if via := c.choice.via; f.ufrag == via.ufrag && f.pwd == via.pwd {
		for _, candidate := range f.candidates {
			if err := c.add(candidate); err != nil {
				return "", err
			}
		}
		return "", nil
	}
	again := c.choice.offer.restarted(f.ufrag, f.pwd, f.candidates)
	text, err := c.renegotiate(ctx, again)
	if err != nil {
		return "", err
	}
	ours, err := parse(text)
	if err != nil {
		return "", fmt.Errorf("webrtc: our own answer: %w", err)
	}
	i := slices.IndexFunc(c.choice.roles, func(r role) bool { return r != refused })
	return ours.sections[i].fragment(), nil
}

// A fragment is what application/trickle-ice-sdpfrag holds of use to us.
type fragment struct {
	ufrag, pwd string
	candidates []string
}

// parseFragment reads an SDP fragment. It has no session part, so the SDP
// parser has no use for it.
func parseFragment(text string) (fragment, error) {
	var f fragment
	if len(text) > maxSDP {
		return f, invalid("sdp fragment: longer than %d bytes", maxSDP)
	}
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\r\n")
		if l == "" {
			continue
		}
		if len(l) < 2 || l[1] != '=' {
			return f, invalid("sdp fragment: line %.40q", l)
		}
		key, value, _ := strings.Cut(l[2:], ":")
		if l[0] != 'a' {
			continue
		}
		switch key {
		case "ice-ufrag":
			f.ufrag = value
		case "ice-pwd":
			f.pwd = value
		case "candidate":
			if len(f.candidates) == maxCandidates {
				return f, invalid("more than %d candidates", maxCandidates)
			}
			if usable(value) {
				f.candidates = append(f.candidates, value)
			}
		}
	}
	return f, nil
}

// fragment writes our credentials and candidates.
func (s *section) fragment() string {
	var b strings.Builder
	t := s.transport
	if t.lite { // as in the answer (RFC 9725 section 4.3.3)
		b.WriteString("a=ice-lite\r\n")
	}
	b.WriteString("a=ice-options:trickle\r\n")
	fmt.Fprintf(&b, "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", t.ufrag, t.pwd)
	fmt.Fprintf(&b, "m=%s 9 %s 0\r\na=mid:%s\r\n", s.media, strings.Join(s.protos, "/"), s.mid)
	for _, c := range t.candidates {
		fmt.Fprintf(&b, "a=candidate:%s\r\n", c)
	}
	b.WriteString("a=end-of-candidates\r\n")
	return b.String()
}
