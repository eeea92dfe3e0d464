package sip

import (
	"net"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// A dialog is the state that RFC 3261 section 12 describes. It has no clock and
// no socket. Not safe for concurrent use.
type dialog struct {
	callID string
	local  nameAddr // with our tag
	remote nameAddr // with the peer's, once it is known

	localSeq  uint32 // of our last request
	remoteSeq uint32 // of the peer's last request
	heard     bool   // remoteSeq means something

	target sip.Uri    // where the peer is: its last Contact
	routes []nameAddr // first hop first
	secure bool       // only sips from here to there
}

// A dialogKey tells dialogs apart.
type dialogKey struct{ callID, local, remote string }

func (d *dialog) key() dialogKey {
	return dialogKey{d.callID, d.local.tag(), d.remote.tag()}
}

// uasDialog is the dialog that an INVITE makes (section 12.1.1). tag is ours.
func uasDialog(r *request, tag string) *dialog {
	d := &dialog{
		callID:    r.callID,
		local:     tagged(r.to, tag),
		remote:    r.from,
		localSeq:  0,
		remoteSeq: r.seq,
		heard:     true,
		target:    r.contact.uri,
		routes:    routes(r, false),
	}
	d.secure = r.flow != nil && r.flow.network() == "TLS" && r.Recipient.IsEncrypted()
	return d
}

// uacDialog is the start of one that we make; answered completes it.
func uacDialog(from, to nameAddr, callID string) *dialog {
	return &dialog{callID: callID, local: tagged(from, newTag()), remote: to, target: to.uri, secure: to.uri.IsEncrypted()}
}

// answered is the dialog that a response to our INVITE makes, which other
// responses to the same INVITE do not share (section 12.1.2).
func (d *dialog) answered(res *sip.Response) (*dialog, bool) {
	to, err := parseNameAddr(text(res, "To"))
	if err != nil || to.tag() == "" {
		return nil, false
	}
	own := *d
	own.remote = to
	own.routes = routes(res, true)
	own.retarget(res)
	return &own, true
}

// retarget takes the Contact of a request or response that refreshes the
// target (section 12.2). A second Contact, or a bad one, changes nothing.
func (d *dialog) retarget(m sip.Message) {
	contacts := m.GetHeaders("Contact")
	if len(contacts) != 1 {
		return
	}
	c, err := parseNameAddr(contacts[0].Value())
	if err == nil && (c.uri.Scheme == "sip" || c.uri.Scheme == "sips") {
		d.target = c.uri
	}
}

// sequence checks the number of a request within the dialog: those that come
// late are refused, and numbers may be skipped (section 12.2.2).
func (d *dialog) sequence(seq uint32) bool {
	if d.heard && seq <= d.remoteSeq {
		return false
	}
	d.remoteSeq, d.heard = seq, true
	return true
}

// request makes the next request in the dialog, without Via and Contact. ACK
// and CANCEL have the number of their INVITE; for them seq is that, and
// otherwise zero.
func (d *dialog) request(method sip.RequestMethod, seq uint32) *sip.Request {
	if seq == 0 {
		d.localSeq++
		seq = d.localSeq
	}
	target, routes := d.target, d.routes
	if len(routes) > 0 {
		if _, loose := routes[0].uri.UriParams.Get("lr"); !loose {
			// A strict router of RFC 2543: it wants to be in the Request-URI
			// and the target last in the route (section 12.2.1.1).
			last := nameAddr{uri: target, raw: target.String()}
			target = routes[0].uri
			routes = append(routes[1:len(routes):len(routes)], last)
		}
	}
	target.Headers = nil // not allowed there (section 19.1.1)
	req := sip.NewRequest(method, target)
	for _, r := range routes {
		req.AppendHeader(sip.NewHeader("Route", r.String()))
	}
	req.AppendHeader(sip.NewHeader("Max-Forwards", "70"))
	req.AppendHeader(sip.NewHeader("From", d.local.String()))
	req.AppendHeader(sip.NewHeader("To", d.remote.String()))
	req.AppendHeader(sip.NewHeader("Call-ID", d.callID))
	req.AppendHeader(header("CSeq", "%d %s", seq, method))
	req.SetBody(nil)
	return req
}

// hop is the URI that requests in the dialog are sent to: the first route, or
// the target.
func (d *dialog) hop() sip.Uri {
	if len(d.routes) > 0 {
		return d.routes[0].uri
	}
	return d.target
}

// routes reads Record-Route. For who sent the request the last one is the
// nearest (section 12.1.2).
func routes(m sip.Message, reverse bool) []nameAddr {
	var list []nameAddr
	for _, h := range m.GetHeaders("Record-Route") {
		r, err := parseNameAddr(h.Value())
		if err != nil || r.uri.Scheme != "sip" && r.uri.Scheme != "sips" {
			continue
		}
		if reverse {
			list = append([]nameAddr{r}, list...)
		} else {
			list = append(list, r)
		}
	}
	return list
}

// tagged is a copy of n with a tag.
func tagged(n nameAddr, tag string) nameAddr {
	kept := make(params, 0, len(n.params)+1)
	for _, p := range n.params {
		if p.name != "tag" {
			kept = append(kept, p)
		}
	}
	n.params = append(kept, param{"tag", tag})
	return n
}

// contactURI is how a peer reaches us: sips only where the whole way is.
func contactURI(user, host string, port int, network string, secure bool) string {
	scheme := "sip"
	if secure {
		scheme = "sips"
	}
	uri := scheme + ":"
	if user != "" {
		uri += escapeUser(user) + "@"
	}
	uri += net.JoinHostPort(host, strconv.Itoa(port))
	switch network {
	case "TCP":
		uri += ";transport=tcp"
	case "TLS":
		if !secure {
			uri += ";transport=tls"
		}
	}
	return uri
}

// escapeUser writes the user part of a URI (RFC 3261 section 25.1).
func escapeUser(user string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(user); i++ {
		c := user[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.!~*'()&=+$,;?/", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// unescapeUser is what was dialled; escapes that are none stay as they are.
func unescapeUser(user string) string {
	var b strings.Builder
	for i := 0; i < len(user); i++ {
		if user[i] == '%' && i+2 < len(user) {
			if n, err := strconv.ParseUint(user[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(user[i])
	}
	return b.String()
}
