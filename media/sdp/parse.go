package sdp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrMalformed is wrapped by every error of [Parse].
var ErrMalformed = errors.New("sdp: malformed")

// What [Parse] takes at most. Real descriptions have 1 to 6 m-lines and stay
// below 10 kB.
const (
	maxBytes = 64 << 10
	maxMedia = 32
	maxLines = 2000
)

// Parse reads a session description. The result does not refer to b.
//
// Lines end with CRLF, LF or CR. Session lines may come in any order after v=,
// and s= and t= may be missing; lines of types that nobody here needs are
// skipped. The error wraps [ErrMalformed] and names the line.
func Parse(b []byte) (*Description, error) {
	if len(b) > maxBytes {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrMalformed, len(b), maxBytes)
	}
	p := parser{desc: new(Description)}
	text := string(b)
	for number := 1; text != ""; number++ {
		if number > maxLines {
			return nil, fmt.Errorf("%w: more than %d lines", ErrMalformed, maxLines)
		}
		var line string
		line, text = cutLine(text)
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrMalformed, number, err)
		}
	}
	switch {
	case !p.version:
		return nil, fmt.Errorf("%w: no v= line", ErrMalformed)
	case !p.origin:
		return nil, fmt.Errorf("%w: no o= line", ErrMalformed)
	}
	return p.desc, nil
}

// cutLine splits off the first line and its line end.
func cutLine(s string) (line, rest string) {
	i := strings.IndexAny(s, "\r\n")
	if i < 0 {
		return s, ""
	}
	line, rest = s[:i], s[i+1:]
	if s[i] == '\r' {
		rest = strings.TrimPrefix(rest, "\n")
	}
	return line, rest
}

type parser struct {
	desc            *Description
	version, origin bool
}

// line reads one line without its end.
func (p *parser) line(line string) error {
	if strings.TrimSpace(line) == "" {
		return nil // some endpoints end the body with an empty line
	}
	if i := strings.IndexFunc(line, func(r rune) bool { return r < ' ' && r != '\t' }); i >= 0 {
		return fmt.Errorf("control character %#x", line[i])
	}
	if len(line) < 2 || line[1] != '=' {
		return fmt.Errorf("%.20q is not type=value", line)
	}
	value := strings.TrimSpace(line[2:])
	if !p.version && line[0] != 'v' {
		return errors.New("before v=")
	}
	switch line[0] {
	case 'v':
		if value != "0" {
			return fmt.Errorf("version %.20q, want 0", value)
		}
		p.version = true
	case 'o':
		return p.originLine(value)
	case 's':
		p.desc.Name = value
	case 'c':
		return p.connectionLine(value)
	case 'b':
		p.bandwidthLine(value)
	case 'a':
		p.attributeLine(value)
	case 'm':
		return p.mediaLine(value)
	}
	return nil
}

func (p *parser) originLine(value string) error {
	f := strings.Fields(value)
	if len(f) == 5 {
		f = append([]string{"-"}, f...) // an empty user name, as some write
	}
	if len(f) != 6 {
		return fmt.Errorf("o= has %d fields, want 6", len(f))
	}
	p.desc.Origin = Origin{User: f[0], ID: f[1], Version: f[2], Address: f[5]}
	p.origin = true
	return nil
}

func (p *parser) connectionLine(value string) error {
	f := strings.Fields(value)
	if len(f) != 3 || f[0] != "IN" || f[1] != "IP4" && f[1] != "IP6" {
		return fmt.Errorf("c=%.40q, want IN, IP4 or IP6, and an address", value)
	}
	host, _, _ := strings.Cut(f[2], "/") // without the TTL of a multicast group
	if m := p.media(); m != nil {
		if m.Connection == "" { // more of them mean layered coding
			m.Connection = host
		}
		return nil
	}
	p.desc.Connection = host
	return nil
}

// bandwidthLine skips what it does not understand (RFC 8866 section 5.8).
func (p *parser) bandwidthLine(value string) {
	kind, number, _ := strings.Cut(value, ":")
	n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 40)
	if err != nil {
		return
	}
	b := Bandwidth{Type: strings.ToUpper(kind), Value: int(n)}
	if m := p.media(); m != nil {
		m.Bandwidth = append(m.Bandwidth, b)
		return
	}
	p.desc.Bandwidth = append(p.desc.Bandwidth, b)
}

func (p *parser) attributeLine(value string) {
	key, val, _ := strings.Cut(value, ":")
	a := Attribute{Key: strings.TrimSpace(key), Value: strings.TrimSpace(val)}
	if m := p.media(); m != nil {
		m.Attributes = append(m.Attributes, a)
		return
	}
	p.desc.Attributes = append(p.desc.Attributes, a)
}

func (p *parser) mediaLine(value string) error {
	if len(p.desc.Media) == maxMedia {
		return fmt.Errorf("more than %d m-lines", maxMedia)
	}
	f := strings.Fields(value)
	if len(f) < 4 {
		return fmt.Errorf("m= has %d fields, want at least 4", len(f))
	}
	number, _, _ := strings.Cut(f[1], "/") // the count of ports is for layers
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return fmt.Errorf("m= has port %.20q", f[1])
	}
	p.desc.Media = append(p.desc.Media, Media{Type: strings.ToLower(f[0]), Port: int(port), Proto: f[2], Formats: f[3:]})
	return nil
}

// media is the m-line that lines belong to now; nil before the first.
func (p *parser) media() *Media {
	if n := len(p.desc.Media); n > 0 {
		return &p.desc.Media[n-1]
	}
	return nil
}

// Marshal returns d as a body of application/sdp.
func (d *Description) Marshal() []byte {
	var b bytes.Buffer
	line := func(parts ...string) {
		for _, p := range parts {
			b.WriteString(p)
		}
		b.WriteString("\r\n")
	}
	connection := func(host string) {
		if host != "" {
			line("c=IN ", addressType(host), " ", host)
		}
	}
	bandwidth := func(bs []Bandwidth) {
		for _, b := range bs {
			line("b=", b.Type, ":", strconv.Itoa(b.Value))
		}
	}
	attributes := func(as Attributes) {
		for _, a := range as {
			if a.Value == "" {
				line("a=", a.Key)
			} else {
				line("a=", a.Key, ":", a.Value)
			}
		}
	}
	name := d.Name
	if name == "" {
		name = "-"
	}
	o := d.Origin
	line("v=0")
	line("o=", o.User, " ", o.ID, " ", o.Version, " IN ", addressType(o.Address), " ", o.Address)
	line("s=", name)
	connection(d.Connection)
	bandwidth(d.Bandwidth)
	line("t=0 0")
	attributes(d.Attributes)
	for _, m := range d.Media {
		line("m=", m.Type, " ", strconv.Itoa(m.Port), " ", m.Proto, " ", strings.Join(m.Formats, " "))
		connection(m.Connection)
		bandwidth(m.Bandwidth)
		attributes(m.Attributes)
	}
	return b.Bytes()
}

func addressType(host string) string {
	if strings.Contains(host, ":") {
		return "IP6"
	}
	return "IP4"
}
