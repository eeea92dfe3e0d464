package sip

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/emiago/sipgo/sip"
)

// A nameAddr is the value of From, To, Contact, Route and Record-Route
// (RFC 3261 section 20.10).
type nameAddr struct {
	display string // without quotes; may be empty
	raw     string // the URI as it was written
	uri     sip.Uri
	params  params
}

// tag is the tag parameter; empty if there is none.
func (n *nameAddr) tag() string { return n.params.get("tag") }

// String is the canonical form: angle brackets always, quotes where needed.
func (n *nameAddr) String() string {
	var b strings.Builder
	if n.display != "" {
		b.WriteString(quote(n.display) + " ")
	}
	b.WriteString("<" + n.raw + ">")
	for _, p := range n.params {
		b.WriteString(";" + p.name)
		if p.value != "" {
			b.WriteString("=" + p.value)
		}
	}
	return b.String()
}

// params are header parameters in order. Names are lower case, values as they
// were written, quotes included.
type params []param

type param struct{ name, value string }

func (p params) get(name string) string {
	v, _ := p.lookup(name)
	return v
}

func (p params) lookup(name string) (string, bool) {
	for _, kv := range p {
		if kv.name == name {
			return kv.value, true
		}
	}
	return "", false
}

var errNameAddr = errors.New("malformed address")

// parseNameAddr reads one address. It is stricter than sipgo's parser, which
// lets spaces, unterminated quotes and unquoted punctuation through.
func parseNameAddr(s string) (nameAddr, error) {
	var n nameAddr
	s = strings.TrimSpace(s)
	rest := s
	if strings.HasPrefix(s, `"`) {
		text, after, ok := quoted(s)
		if !ok {
			return n, fmt.Errorf("%w: unterminated quotes", errNameAddr)
		}
		n.display, rest = text, strings.TrimSpace(after)
		if !strings.HasPrefix(rest, "<") {
			return n, fmt.Errorf("%w: no URI in angle brackets after a name", errNameAddr)
		}
	}
	if open := strings.IndexByte(rest, '<'); open >= 0 {
		if name := strings.TrimSpace(rest[:open]); name != "" {
			if n.display != "" || strings.ContainsAny(name, `",;:<>@()[]{}?=\/`) {
				return n, fmt.Errorf("%w: punctuation in an unquoted name", errNameAddr)
			}
			n.display = name
		}
		end := strings.IndexByte(rest, '>')
		if end < open {
			return n, fmt.Errorf("%w: no closing angle bracket", errNameAddr)
		}
		n.raw, rest = rest[open+1:end], rest[end+1:]
	} else {
		// Without brackets everything after the first semicolon belongs to
		// the header (RFC 3261 section 20.10).
		at := strings.IndexByte(rest, ';')
		if at < 0 {
			at = len(rest)
		}
		n.raw, rest = strings.TrimSpace(rest[:at]), rest[at:]
	}
	var err error
	if n.uri, err = parseURI(n.raw); err != nil {
		return n, err
	}
	n.params, err = parseParams(rest)
	return n, err
}

// parseURI reads a URI. Those that are neither sip nor sips are kept as they
// are, in Raw.
func parseURI(s string) (sip.Uri, error) {
	var u sip.Uri
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`<>"`, r) }) {
		return u, fmt.Errorf("%w: white space or brackets in a URI", errNameAddr)
	}
	if err := sip.ParseUri(s, &u); err != nil {
		return u, fmt.Errorf("%w: %w", errNameAddr, err)
	}
	if u.Scheme != "sip" && u.Scheme != "sips" {
		return u, nil
	}
	if u.Host == "" || u.Port < 0 || u.Port > 65535 {
		return u, fmt.Errorf("%w: no host or port", errNameAddr)
	}
	return u, nil
}

// parseParams reads what follows a value: nothing, or ";name=value;name" and
// so on.
func parseParams(s string) (params, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return nil, nil
	}
	if s[0] != ';' {
		return nil, fmt.Errorf("%w: text after the address", errNameAddr)
	}
	var p params
	for _, kv := range split(s[1:], ';') {
		name, value, _ := strings.Cut(kv, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if name == "" {
			continue // ";;" is common enough
		}
		p = append(p, param{name, value})
	}
	return p, nil
}

// split cuts s at every sep that is neither in quotes nor in angle brackets,
// and trims the parts. Empty parts are kept.
func split(s string, sep byte) []string {
	var parts []string
	start, inQuotes, depth := 0, false, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case inQuotes && c == '\\':
			i++
		case c == '"':
			inQuotes = !inQuotes
		case inQuotes:
		case c == '<':
			depth++
		case c == '>' && depth > 0:
			depth--
		case c == sep && depth == 0:
			parts = append(parts, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	return append(parts, strings.TrimSpace(s[start:]))
}

// quoted reads a quoted string at the start of s.
func quoted(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case c == '"':
			return b.String(), s[i+1:], true
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// quote is the inverse of quoted.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// printable makes what strangers call themselves fit to be shown and logged.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	for len(s) > most {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return strings.TrimSpace(s)
}

// values are the comma-separated values of all headers of that name.
func values(m sip.Message, name string) []string {
	var list []string
	for _, h := range m.GetHeaders(name) {
		for _, v := range split(h.Value(), ',') {
			if v != "" {
				list = append(list, v)
			}
		}
	}
	return list
}

// lists reports whether header name of m lists token, such as "timer" in
// Supported. Case does not matter.
func lists(m sip.Message, name, token string) bool {
	for _, v := range values(m, name) {
		if strings.EqualFold(v, token) {
			return true
		}
	}
	return false
}

// text is the value of the first header of that name; empty if there is none.
func text(m sip.Message, name string) string {
	if hs := m.GetHeaders(name); len(hs) > 0 {
		return strings.TrimSpace(hs[0].Value())
	}
	return ""
}

// A via is one hop (RFC 3261 section 20.42).
type via struct {
	transport string // upper case
	host      string // without brackets
	port      int    // 0: not given
	params    params
}

// parseVia reads the value of a Via header that has been squeezed.
func parseVia(s string) (via, error) {
	parts := split(s, ';')
	protocol, sentBy, ok := strings.Cut(parts[0], " ")
	fields := strings.Split(protocol, "/")
	if !ok || len(fields) != 3 || !strings.EqualFold(fields[0], "SIP") || fields[1] != "2.0" || fields[2] == "" {
		return via{}, errors.New("malformed Via")
	}
	v := via{transport: strings.ToUpper(fields[2])}
	host, port := sentBy, ""
	if i := strings.LastIndexByte(sentBy, ':'); i > strings.LastIndexByte(sentBy, ']') {
		host, port = sentBy[:i], sentBy[i+1:]
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return via{}, errors.New("malformed port in Via")
		}
		v.port = int(n)
	}
	v.host = strings.Trim(host, "[]")
	if v.host == "" || strings.ContainsAny(v.host, " \t") {
		return via{}, errors.New("malformed host in Via")
	}
	var err error
	if len(parts) > 1 {
		v.params, err = parseParams(s[len(parts[0]):])
	}
	return v, err
}

// squeeze removes the white space that RFC 3261 section 25.1 allows around
// separators, and reduces the rest to single spaces. Quoted strings are left
// alone.
func squeeze(s string) string {
	const separators = "/;=:,"
	var b strings.Builder
	inQuotes, gap := false, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !inQuotes && (c == ' ' || c == '\t') {
			gap = b.Len() > 0
			continue
		}
		if gap {
			last := b.String()[b.Len()-1]
			if !strings.ContainsRune(separators, rune(c)) && !strings.ContainsRune(separators, rune(last)) {
				b.WriteByte(' ')
			}
			gap = false
		}
		switch {
		case inQuotes && c == '\\' && i+1 < len(s):
			b.WriteByte(c)
			i++
			c = s[i]
		case c == '"':
			inQuotes = !inQuotes
		}
		b.WriteByte(c)
	}
	return b.String()
}

// bracketed is a host as URIs and Via want it: IPv6 in brackets.
func bracketed(host string) string {
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		return "[" + host + "]"
	}
	return host
}
