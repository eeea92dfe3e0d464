package webrtc

import (
	"strings"

	"github.com/pion/sdp/v3"

	"github.com/skybridge-media/skybridge/media/port"
	sd "github.com/skybridge-media/skybridge/media/sdp"
)

// simulcast is what a peer sends side by side in one section (RFC 8853).
type simulcast struct {
	layers []sd.Layer
	ext    uint8  // id of the extension that names layers
	msid   string // of the track
}

// addLayers takes the simulcast that a section offers. pion finds the section
// of a layer by its mid in the packets, so there must be an extension for that
// too.
//
// A sender does not name its layers for ever, and one that is on hold does not
// offer them. pion must not forget them meanwhile: it would not know them when
// they come back.
func (s *stream) addLayers(old *stream) {
	if s.video == nil {
		return
	}
	sec := s.section
	layers, ext := sec.several.Layers(s.codec.pt)
	switch {
	case len(layers) > 0 && sec.midExt != 0 && s.recv:
		s.simulcast, s.layered = &simulcast{layers, ext, trackName(sec.stream)}, true
	case old != nil && !s.recv:
		s.simulcast = old.simulcast
	}
}

// trackName makes a=msid what pion takes for one: it wants two words, and
// drops layers without.
func trackName(msid string) string {
	switch f := strings.Fields(msid); len(f) {
	case 0:
		return "- video"
	case 1:
		return f[0] + " video"
	default:
		return f[0] + " " + f[1]
	}
}

// portLayers are the layers that the port has to expect.
func (s *stream) portLayers() (layers []port.Layer, ext uint8) {
	if !s.layered {
		return nil, 0
	}
	for _, l := range s.simulcast.layers {
		layers = append(layers, port.Layer(l))
	}
	return layers, s.simulcast.ext
}

// offerLines writes it for pion, as the peer's.
func (m *simulcast) offerLines(line func(string, ...any)) {
	var names []string
	for _, l := range m.layers {
		names = append(names, l.RID)
		line("a=rid:%s send", l.RID)
	}
	line("a=simulcast:send %s", strings.Join(names, ";"))
	line("a=extmap:%d %s", m.ext, sd.LayerURI)
	line("a=msid:%s", m.msid)
}

// simulcastLines write it for the peer, as ours. The extension is agreed on even
// while the peer is on hold and offers no layers: Chromium could not offer them
// again otherwise.
func (s *stream) simulcastLines(line func(string, ...any)) {
	var a sd.Attributes
	switch {
	case s.layered:
		a.AnswerLayers(s.simulcast.layers, s.simulcast.ext)
	case s.simulcast != nil && s.section.ridExt != 0:
		line("a=extmap:%d %s", s.section.ridExt, sd.LayerURI)
	}
	for _, l := range a {
		line("a=%s:%s", l.Key, l.Value)
	}
}

// midLine writes the extension that names a section, where pion needs it: with
// a simulcast in the bundle it goes by nothing else for sources that are not
// declared, and with two pictures it must tell them apart.
func (c *choice) midLine(line func(string, ...any), s *section) {
	several := c.content != nil || c.video != nil && c.video.simulcast != nil
	if several && s.midExt != 0 {
		line("a=extmap:%d %s", s.midExt, sdp.SDESMidURI)
	}
}
