package sdp

import (
	"slices"
	"strconv"
	"strings"
)

// LayerURI names the header extension that tells layers apart (RFC 8852).
const LayerURI = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"

// How many layers are taken, and looked at. Browsers send three at most.
const (
	maxLayers  = 4
	maxOffered = 16
)

// A Layer is one of the encodings of a picture that a peer sends side by side
// (simulcast, RFC 8853).
type Layer struct {
	RID string // RFC 8851: letters, digits, "-" and "_"

	// The largest picture that the peer says it sends; zero: it does not say.
	Width, Height int
}

// Layers are what the peer offers to send side by side in the payload type pt,
// where a are the attributes of its m-line, and the identifier of the extension
// that tells them apart. There are none unless there are two that we can tell
// apart: the peer then sends one stream (RFC 8853 section 5.3.2).
func (a Attributes) Layers(pt uint8) (layers []Layer, ext uint8) {
	if ext = a.extension(LayerURI); ext == 0 {
		return nil, 0
	}
	looked := 0
	for alternatives := range strings.SplitSeq(a.simulcast("send"), ";") {
		// One of the alternatives, which are in order of preference. "~" marks
		// those that are paused for now.
		for rid := range strings.SplitSeq(alternatives, ",") {
			if looked++; looked > maxOffered || len(layers) == maxLayers {
				break
			}
			l, ok := a.layer(strings.TrimPrefix(rid, "~"), pt)
			if ok && !slices.ContainsFunc(layers, func(o Layer) bool { return o.RID == l.RID }) {
				layers = append(layers, l)
				break
			}
		}
	}
	if len(layers) < 2 {
		return nil, 0
	}
	return layers, ext
}

// simulcast returns the list of one direction of a=simulcast: "send a;b recv c".
func (a Attributes) simulcast(direction string) string {
	v, _ := a.Get("simulcast")
	f := strings.Fields(v)
	for i := 0; i+1 < len(f); i += 2 {
		if f[i] == direction {
			return f[i+1]
		}
	}
	return ""
}

// layer reads "a=rid:<rid> send pt=97,98;max-width=1280" (RFC 8851 section 10).
// ok is false if there is no such line, or not for that payload type.
func (a Attributes) layer(rid string, pt uint8) (l Layer, ok bool) {
	if !validRID(rid) {
		return Layer{}, false
	}
	for v := range a.all("rid") {
		f := strings.Fields(v)
		if len(f) < 2 || f[0] != rid || f[1] != "send" {
			continue
		}
		l = Layer{RID: rid}
		for restriction := range strings.SplitSeq(strings.Join(f[2:], ""), ";") {
			key, value, _ := strings.Cut(restriction, "=")
			switch key {
			case "pt":
				if !slices.Contains(strings.Split(value, ","), strconv.Itoa(int(pt))) {
					return Layer{}, false
				}
			case "max-width":
				l.Width = pixels(value)
			case "max-height":
				l.Height = pixels(value)
			}
		}
		if l.Width == 0 || l.Height == 0 {
			l.Width, l.Height = 0, 0
		}
		return l, true
	}
	return Layer{}, false
}

// pixels reads the side of a picture; zero for what none has.
func pixels(s string) int {
	n, err := strconv.ParseUint(s, 10, 14)
	if err != nil {
		return 0
	}
	return int(n)
}

// validRID follows RFC 8852, section 3.3, and fits the one-byte form of the
// header extension (RFC 8285 section 4.2).
func validRID(s string) bool {
	return len(s) >= 1 && len(s) <= 16 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
}

// AnswerLayers adds to our m-line that we take layers, if there are any.
func (a *Attributes) AnswerLayers(layers []Layer, ext uint8) {
	if len(layers) == 0 {
		return
	}
	names := make([]string, len(layers))
	for i, l := range layers {
		names[i] = l.RID
		a.add("rid", l.RID+" recv")
	}
	a.add("simulcast", "recv "+strings.Join(names, ";"))
	a.add("extmap", strconv.Itoa(int(ext))+" "+LayerURI)
}
