package sip

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/skybridge-media/skybridge/media/sdp"
)

// maxParts bounds a multipart body. Real ones have two or three parts.
const maxParts = 16

// description finds the session description in a message. Both results are nil
// when there is no body. multipart bodies are searched for it (RFC 3261
// section 7.4.1, RFC 5621): gateways put ISDN beside it, and some rooms two
// forms of the same.
func description(m sip.Message) (*sdp.Description, *refusal) {
	body := m.Body()
	if len(body) == 0 {
		return nil, nil
	}
	if e := text(m, "Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, refuse(sip.StatusUnsupportedMediaType, "Unsupported Media Type", sip.NewHeader("Accept-Encoding", "identity"))
	}
	kind, params, err := mime.ParseMediaType(text(m, "Content-Type"))
	if err != nil {
		return nil, refuse(sip.StatusBadRequest, "Malformed Content-Type header")
	}
	if strings.HasPrefix(kind, "multipart/") {
		body, err = findPart(body, params["boundary"])
		if err != nil {
			return nil, refuse(sip.StatusBadRequest, "Malformed multipart body")
		}
		if body == nil {
			return nil, unsupportedBody("application/sdp")
		}
	} else if kind != "application/sdp" {
		if optionalBody(m) {
			return nil, nil
		}
		return nil, unsupportedBody("application/sdp")
	}
	d, err := sdp.Parse(body)
	if err != nil {
		return nil, refuse(sip.StatusBadRequest, "Malformed SDP: "+printable(err.Error(), 100))
	}
	return d, nil
}

func unsupportedBody(accept string) *refusal {
	return refuse(sip.StatusUnsupportedMediaType, "Unsupported Media Type", sip.NewHeader("Accept", accept))
}

// optionalBody reports whether a body may be ignored by who does not
// understand it (RFC 3261 section 20.11).
func optionalBody(m sip.Message) bool {
	_, params, err := mime.ParseMediaType(text(m, "Content-Disposition"))
	return err == nil && strings.EqualFold(params["handling"], "optional")
}

// findPart returns the first part that is SDP; nil if there is none. Nested
// bodies are not searched.
func findPart(body []byte, boundary string) ([]byte, error) {
	if boundary == "" {
		return nil, errors.New("no boundary")
	}
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	for range maxParts {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err == nil && kind == "application/sdp" {
			return io.ReadAll(p)
		}
	}
	return nil, nil
}

// accepts reports whether the sender takes a session description in the
// response: no Accept means yes (RFC 3261 section 20.1).
func accepts(m sip.Message) bool {
	if len(m.GetHeaders("Accept")) == 0 {
		return true
	}
	for _, v := range values(m, "Accept") {
		kind, _, _ := strings.Cut(v, ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "application/sdp", "application/*", "*/*":
			return true
		}
	}
	return false
}

// setSDP gives m a session description.
func setSDP(m sip.Message, body []byte) {
	m.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	m.SetBody(body)
}
