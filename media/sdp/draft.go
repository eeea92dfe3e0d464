package sdp

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// A draft is our side of a description, without ports.
type draft struct {
	lines     []line
	bandwidth int
	history   *history
}

// A line is one m-line of ours.
type line struct {
	kind  Kind // zero: refused
	media Media
}

// history is what one dialog has described so far. All its drafts share it.
type history struct {
	id      uint64
	version uint64
	text    []byte // as last described
}

// newDraft starts a draft in the dialog of prev, or in a new one.
func newDraft(c *Capabilities, prev *Agreement) *draft {
	d := &draft{bandwidth: c.Bandwidth}
	if prev != nil {
		d.history = prev.draft.history
	} else {
		// Positive as a 63-bit number, which is what some parse it into.
		d.history = &history{id: rand.Uint64() >> 1, version: 1}
	}
	return d
}

// describe renders the draft with ports.
func (d *draft) describe(l Local) []byte {
	h := d.history
	text := d.render(l, h.version)
	if h.text != nil && !bytes.Equal(h.text, text) {
		h.version++
		text = d.render(l, h.version)
	}
	h.text = text
	return bytes.Clone(text)
}

func (d *draft) render(l Local, version uint64) []byte {
	host := l.Address.String()
	desc := Description{
		Origin: Origin{
			User: "-", ID: strconv.FormatUint(d.history.id, 10), Version: strconv.FormatUint(version, 10),
			Address: host,
		},
		Name:       "Skybridge",
		Connection: host,
	}
	if d.bandwidth > 0 {
		desc.Bandwidth = []Bandwidth{{"AS", d.bandwidth / 1000}}
	}
	for _, line := range d.lines {
		m := line.media
		if line.kind != 0 {
			m.addEndpoint(l.endpoint(line.kind))
		}
		desc.Media = append(desc.Media, m)
	}
	return desc.Marshal()
}

// addEndpoint adds what depends on sockets. Attributes are not shared with the
// draft afterwards.
func (m *Media) addEndpoint(e Endpoint) {
	m.Port = e.Port
	if setup, _ := m.Attributes.Get("setup"); setup == "active" {
		m.Port = 9 // who connects listens nowhere (RFC 4145 section 4.1)
	}
	m.Attributes = slices.Clone(m.Attributes)
	if e.RTCPPort != 0 && e.RTCPPort != e.Port+1 && !m.Attributes.Has("rtcp-mux") {
		m.Attributes.add("rtcp", strconv.Itoa(e.RTCPPort))
	}
	if e.SSRC != 0 && e.CNAME != "" {
		m.Attributes.add("ssrc", strconv.FormatUint(uint64(e.SSRC), 10)+" cname:"+e.CNAME)
	}
}

// quotable makes foreign text fit for the quotes of a SIP header.
func quotable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 40)]
}
