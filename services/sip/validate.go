package sip

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// A request is a request that has passed validate: what is in these fields is
// well-formed, and its headers are in normal form.
type request struct {
	*sip.Request
	flow flow // that it came by

	via     via // the top one
	from    nameAddr
	to      nameAddr
	contact nameAddr // INVITE and UPDATE; elsewhere it may be missing
	callID  string
	seq     uint32
}

// A refusal is why a request is not served, and the response that says so.
type refusal struct {
	code    int
	reason  string
	headers []sip.Header
}

func refuse(code int, reason string, headers ...sip.Header) *refusal {
	return &refusal{code, reason, headers}
}

// response is the refusal as an answer to req.
func (r *refusal) response(req *sip.Request, tag string) *sip.Response {
	res := newResponse(req, r.code, r.reason, tag)
	for _, h := range r.headers {
		res.AppendHeader(h)
	}
	return res
}

// Methods that are served, and those that are understood but not served here.
var (
	allowed = []string{"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK"}
	foreign = []string{"REGISTER", "SUBSCRIBE", "NOTIFY", "REFER", "MESSAGE", "PUBLISH"}
)

// What goes into Allow, Accept and Supported.
const (
	acceptBodies = "application/sdp, application/dtmf-relay, application/dtmf, application/media_control+xml"
)

// extensions are the option tags that Require may name. A call with
// Require: 100rel is fine: we send no provisional response but 100, which is
// never sent reliably (RFC 3262 section 3).
var extensions = []string{"timer", "100rel"}

func allowHeader() sip.Header     { return sip.NewHeader("Allow", strings.Join(allowed, ", ")) }
func supportedHeader() sip.Header { return sip.NewHeader("Supported", strings.Join(extensions, ", ")) }

// once are the headers that every request has exactly one of (RFC 3261 section
// 8.1.1). Via is checked apart: there may be several.
var once = []string{"From", "To", "Call-ID", "CSeq", "Max-Forwards"}

// validate checks a normalised request against RFC 3261 section 8.2, as far as
// that needs no knowledge of any call. It looks at nothing but req.
func validate(req *sip.Request) (*request, *refusal) {
	bad := func(format string, args ...any) (*request, *refusal) {
		return nil, refuse(sip.StatusBadRequest, fmt.Sprintf(format, args...))
	}
	r := &request{Request: req}
	var err error
	if len(req.GetHeaders("Via")) == 0 {
		return bad("Missing Via header")
	}
	if r.via, err = parseVia(text(req, "Via")); err != nil || req.Via() == nil {
		return bad("Malformed Via header")
	}
	for _, name := range once {
		switch n := len(req.GetHeaders(name)); {
		case n == 0:
			return bad("Missing %s header", name)
		case n > 1:
			return bad("More than one %s header", name)
		case text(req, name) == "":
			return bad("Empty %s header", name)
		}
	}
	for _, name := range []string{"Content-Length", "Content-Type", "Session-Expires", "Min-SE"} {
		if len(req.GetHeaders(name)) > 1 {
			return bad("More than one %s header", name)
		}
	}
	if req.SipVersion != "SIP/2.0" {
		return nil, refuse(sip.StatusVersionNotSupported, "Version Not Supported")
	}
	if r.from, err = parseNameAddr(text(req, "From")); err != nil || req.From() == nil {
		return bad("Malformed From header")
	}
	if r.from.tag() == "" {
		return bad("Missing tag in From header")
	}
	if r.to, err = parseNameAddr(text(req, "To")); err != nil || req.To() == nil {
		return bad("Malformed To header")
	}
	if r.callID = text(req, "Call-ID"); strings.ContainsAny(r.callID, " \t") {
		return bad("Malformed Call-ID header")
	}
	cseq := req.CSeq()
	if cseq == nil {
		return bad("Malformed CSeq header")
	}
	if !strings.EqualFold(string(cseq.MethodName), string(req.Method)) {
		return bad("Method in CSeq header differs")
	}
	// Methods have a case, which sipgo's parser does not keep.
	req.Method = cseq.MethodName
	r.seq = cseq.SeqNo
	hops, err := strconv.ParseUint(text(req, "Max-Forwards"), 10, 8)
	if err != nil {
		return bad("Malformed Max-Forwards header")
	}
	if rej := r.checkBody(); rej != nil {
		return nil, rej
	}
	if rej := r.checkContact(); rej != nil {
		return nil, rej
	}
	switch {
	case req.Recipient.Scheme != "sip" && req.Recipient.Scheme != "sips":
		return nil, refuse(sip.StatusRequestedRangeNotSatisfiable, "Unsupported URI Scheme")
	case req.Recipient.Host == "" || len(req.Recipient.Headers) > 0:
		// RFC 3261 section 19.1.1: headers are not allowed in a Request-URI.
		return bad("Malformed Request-URI")
	case hops == 0 && req.Method != sip.OPTIONS:
		// OPTIONS is how the path is traced: with zero it is answered here
		// (RFC 3261 section 11).
		return nil, refuse(sip.StatusTooManyHops, "Too Many Hops")
	}
	return r, nil
}

// checkBody holds Content-Length and Content-Type against the body.
func (r *request) checkBody() *refusal {
	if len(r.GetHeaders("Content-Length")) == 1 {
		n, err := strconv.ParseUint(text(r, "Content-Length"), 10, 32)
		if err != nil || int(n) != len(r.Body()) {
			return refuse(sip.StatusBadRequest, "Malformed Content-Length header")
		}
	}
	if len(r.Body()) > 0 && text(r, "Content-Type") == "" {
		return refuse(sip.StatusBadRequest, "Missing Content-Type header")
	}
	return nil
}

// checkContact wants one Contact where a request sets the remote target
// (RFC 3261 section 8.1.1.8, RFC 3311 section 5.1), and a sane one elsewhere.
func (r *request) checkContact() *refusal {
	targets := r.Method == sip.INVITE || r.Method == sip.UPDATE
	contacts := r.GetHeaders("Contact")
	switch {
	case !targets && (len(contacts) != 1 || contacts[0].Value() == "*"):
		return nil
	case len(contacts) == 0:
		return refuse(sip.StatusBadRequest, "Missing Contact header")
	case len(contacts) > 1:
		return refuse(sip.StatusBadRequest, "More than one Contact header")
	}
	var err error
	r.contact, err = parseNameAddr(contacts[0].Value())
	if scheme := r.contact.uri.Scheme; err != nil || scheme != "sip" && scheme != "sips" {
		if !targets {
			r.contact = nameAddr{}
			return nil
		}
		return refuse(sip.StatusBadRequest, "Malformed Contact header")
	}
	return nil
}

// checkMethod refuses what is not served (RFC 3261 section 8.2.1).
func (r *request) checkMethod() *refusal {
	method := string(r.Method)
	switch {
	case slices.Contains(allowed, method):
		return nil
	case slices.Contains(foreign, method):
		return refuse(sip.StatusMethodNotAllowed, "Method Not Allowed", allowHeader())
	}
	return refuse(sip.StatusNotImplemented, "Not Implemented", allowHeader())
}

// checkRequire refuses extensions that we lack (RFC 3261 section 8.2.2.3).
func (r *request) checkRequire() *refusal {
	var lacking []string
	for _, tag := range values(r, "Require") {
		if !slices.Contains(extensions, strings.ToLower(tag)) {
			lacking = append(lacking, printable(tag, 40))
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	return refuse(sip.StatusBadExtension, "Bad Extension", header("Unsupported", "%s", strings.Join(lacking, ", ")))
}

// checkResponse reports whether a normalised response can be matched to a
// request of ours: one Via, and what identifies a dialog (RFC 3261 section
// 8.1.3.3). Some phones ring without a tag.
func checkResponse(res *sip.Response) bool {
	if len(res.GetHeaders("Via")) != 1 || res.Via() == nil || res.StatusCode < 100 || res.StatusCode > 699 {
		return false
	}
	for _, name := range []string{"From", "To", "Call-ID", "CSeq"} {
		if len(res.GetHeaders(name)) != 1 {
			return false
		}
	}
	to, err := parseNameAddr(text(res, "To"))
	return err == nil && res.CSeq() != nil && (res.StatusCode/100 != 2 || to.tag() != "")
}
