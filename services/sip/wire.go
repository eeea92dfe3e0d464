package sip

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// canonical are the names of the headers that are read here, by what they may
// be called on the wire: the compact forms (RFC 3261 section 7.3.3 and the
// IANA registry), and any case.
var canonical = func() map[string]string {
	m := map[string]string{
		"a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "d": "Request-Disposition",
		"e": "Content-Encoding", "f": "From", "i": "Call-ID", "j": "Reject-Contact", "k": "Supported",
		"l": "Content-Length", "m": "Contact", "n": "Identity-Info", "o": "Event", "r": "Refer-To",
		"s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via", "x": "Session-Expires", "y": "Identity",
	}
	for _, name := range []string{
		"Accept", "Allow", "Authorization", "CSeq", "Content-Disposition", "Max-Forwards", "Min-SE", "Proxy-Authenticate",
		"Proxy-Authorization", "Proxy-Require", "RAck", "RSeq", "Reason", "Record-Route", "Require",
		"Retry-After", "Route", "Server", "Timestamp", "Unsupported", "User-Agent", "WWW-Authenticate", "Warning",
	} {
		m[strings.ToLower(name)] = name
	}
	for _, name := range m {
		m[strings.ToLower(name)] = name
	}
	return m
}()

// newParser returns sipgo's parser with the header parsers that framing needs,
// and no more. A header that cannot be parsed is then no reason to drop the
// message: it is kept as text, and validate names it in a 400.
func newParser() *sip.Parser {
	length := sip.DefaultHeadersParser()["content-length"]
	lenient := func(name []byte, value string) (sip.Header, error) {
		h, err := length(name, value)
		if err != nil {
			return sip.NewHeader("Content-Length", value), nil
		}
		return h, nil
	}
	return sip.NewParser(sip.WithHeadersParsers(sip.HeadersParser{"content-length": lenient, "l": lenient}))
}

// normalise rewrites headers into one form, so that everything behind it has
// one case to deal with: full names, one value per Via, Route, Record-Route
// and Contact, addresses in angle brackets, no white space where it means
// nothing. What does not parse is left for validate to complain about.
func normalise(headers []sip.Header) []sip.Header {
	out := make([]sip.Header, 0, len(headers)+2)
	for _, h := range headers {
		name, value := h.Name(), h.Value()
		if full, ok := canonical[strings.ToLower(name)]; ok {
			name = full
		}
		switch name {
		case "Via":
			for _, v := range split(value, ',') {
				out = append(out, sip.NewHeader(name, squeeze(v)))
			}
		case "Contact", "Route", "Record-Route":
			for _, v := range split(value, ',') {
				out = append(out, sip.NewHeader(name, address(v)))
			}
		case "From", "To":
			out = append(out, sip.NewHeader(name, address(value)))
		case "CSeq":
			out = append(out, sip.NewHeader(name, strings.Join(strings.Fields(value), " ")))
		case "Content-Length":
			if typed, ok := h.(*sip.ContentLengthHeader); ok {
				out = append(out, typed)
				continue
			}
			fallthrough
		default:
			out = append(out, sip.NewHeader(name, value))
		}
	}
	return out
}

// address is the canonical form of an address, or s when it is none.
func address(s string) string {
	n, err := parseNameAddr(s)
	if err != nil {
		return s
	}
	return n.String()
}

// normaliseRequest returns req with normalised headers and its top Via stamped
// with where it came from.
func normaliseRequest(req *sip.Request, from netip.AddrPort) *sip.Request {
	n := sip.NewRequest(req.Method, req.Recipient)
	n.SipVersion = req.SipVersion
	setBody(n, req.Body())
	stamped := false
	for _, h := range normalise(req.Headers()) {
		if !stamped && h.Name() == "Via" {
			stamped = true
			h = sip.NewHeader("Via", stamp(h.Value(), from))
		}
		n.AppendHeader(h)
	}
	return n
}

// normaliseResponse returns res with normalised headers.
func normaliseResponse(res *sip.Response) *sip.Response {
	n := sip.NewResponse(res.StatusCode, res.Reason)
	n.SipVersion = res.SipVersion
	setBody(n, res.Body())
	for _, h := range normalise(res.Headers()) {
		n.AppendHeader(h)
	}
	return n
}

// setBody gives an empty message the body that was received, without the
// Content-Length that sipgo adds: validate wants to see what the peer wrote.
func setBody(m interface {
	SetBody([]byte)
	RemoveHeader(string) bool
}, body []byte,
) {
	m.SetBody(body)
	m.RemoveHeader("Content-Length")
}

// stamp adds to a Via where the message came from (RFC 3261 section 18.2.1,
// RFC 3581 section 4). The answer then needs nothing but this header.
func stamp(value string, from netip.AddrPort) string {
	v, err := parseVia(value)
	if err != nil {
		return value
	}
	ip := from.Addr().WithZone("").String()
	kept := split(value, ';')
	out := kept[:1:1]
	_, rport := v.params.lookup("rport")
	for _, p := range kept[1:] {
		switch name, _, _ := strings.Cut(strings.ToLower(p), "="); name {
		case "received", "rport", "":
			// A stranger's claim, or to be filled in below.
		default:
			out = append(out, p)
		}
	}
	if rport {
		out = append(out, "rport="+strconv.Itoa(int(from.Port())))
	}
	if rport || v.host != ip {
		out = append(out, "received="+ip)
	}
	return strings.Join(out, ";")
}

// replyTo is where a response to a datagram goes (RFC 3261 section 18.2.2,
// RFC 3581): always to the address that it came from, so that nobody can be
// made to receive what another has asked for; the port is the peer's choice.
func replyTo(v via, from netip.AddrPort) netip.AddrPort {
	if _, ok := v.params.lookup("rport"); ok {
		return from
	}
	port := v.port
	if port == 0 {
		port = sip.DefaultUdpPort
	}
	return netip.AddrPortFrom(from.Addr(), uint16(port))
}

// newResponse answers req. tag is ours; it is added to To unless there is one,
// and never to a 100.
func newResponse(req *sip.Request, code int, reason, tag string) *sip.Response {
	res := sip.NewResponse(code, reason)
	for _, h := range req.GetHeaders("Via") {
		res.AppendHeader(sip.NewHeader("Via", h.Value()))
	}
	for _, name := range []string{"From", "To", "Call-ID", "CSeq"} {
		value := text(req, name)
		if value == "" {
			continue // it is why we answer 400
		}
		if to, err := parseNameAddr(value); name == "To" && err == nil && code > 100 && tag != "" && to.tag() == "" {
			value += ";tag=" + tag
		}
		res.AppendHeader(sip.NewHeader(name, value))
	}
	if ts := text(req, "Timestamp"); code == 100 && ts != "" {
		res.AppendHeader(sip.NewHeader("Timestamp", ts))
	}
	res.SetBody(nil)
	return res
}

// newTag returns what nobody can guess: 128 bits of it.
func newTag() string { return strings.ToLower(rand.Text()) }

// newBranch returns a branch of that kind (RFC 3261 section 8.1.1.7).
func newBranch() string { return sip.RFC3261BranchMagicCookie + newTag() }

// header is short for a header with a formatted value.
func header(name, format string, args ...any) sip.Header {
	return sip.NewHeader(name, fmt.Sprintf(format, args...))
}

// salvage reads from bytes that are no SIP request what an answer to them
// needs: the method and the header lines; and what that answer is. Both are nil
// when they are not even meant to be a request, or one that is never answered.
func salvage(data []byte) (*sip.Request, *refusal) {
	head, _, _ := strings.Cut(string(data), "\r\n\r\n")
	lines := strings.Split(strings.TrimLeft(head, "\r\n"), "\r\n")
	method, rest, ok := strings.Cut(lines[0], " ")
	if !ok || method == "ACK" || strings.HasPrefix(method, "SIP/") || !strings.Contains(rest, "SIP/") || !token(method) {
		return nil, nil
	}
	why := refuse(sip.StatusBadRequest, "Malformed Message")
	if scheme, _, ok := strings.Cut(rest, ":"); ok && token(scheme) && !strings.HasPrefix(strings.ToLower(scheme), "sip") {
		why = refuse(sip.StatusRequestedRangeNotSatisfiable, "Unsupported URI Scheme")
	}
	req := sip.NewRequest(sip.RequestMethod(method), sip.Uri{Scheme: "sip", Host: "invalid"})
	for _, line := range lines[1:] {
		if name, value, ok := strings.Cut(line, ":"); ok && token(strings.TrimSpace(name)) {
			req.AppendHeader(sip.NewHeader(strings.TrimSpace(name), strings.TrimSpace(value)))
		}
	}
	return req, why
}

// token reports whether s is a token (RFC 3261 section 25.1).
func token(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	return s != "" && strings.Trim(s, letters+"-.!%*_+`'~") == ""
}
