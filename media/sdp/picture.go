package sdp

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
)

// A size is one step of the ladder of pictures we send.
type size struct{ width, height int }

// sizes are 16:9 or nearly so, each fitting a level that endpoints really have.
// 768x448 is the 448p of room systems: macroblocks without a rest.
var sizes = []size{
	{1920, 1080},
	{1280, 720},
	{960, 540},
	{768, 448},
	{640, 360},
	{512, 288},
	{384, 216},
	{320, 180},
	{192, 108},
}

// leastRate is the frame rate below which a smaller picture is the better one.
// Slides are read.
func leastRate(k Kind) int {
	if k == Slides {
		return 5
	}
	return 15
}

// fit returns the largest picture of a kind within what the peer takes: fs
// macroblocks per picture, mbps per second, and rate pictures per second. Zero
// means no limit.
func (c *Capabilities) fit(k Kind, fs, mbps, rate int) (width, height, fps int) {
	maxWidth, maxHeight, maxRate := c.picture(k)
	if rate > 0 {
		maxRate = min(maxRate, rate)
	}
	var best size
	for _, s := range append([]size{{maxWidth, maxHeight}}, sizes...) {
		if s.width > maxWidth || s.height > maxHeight {
			continue
		}
		best, fps = s, maxRate
		if mbps > 0 {
			fps = min(fps, mbps/macroblocks(s.width, s.height))
		}
		if fits(s, fs) && fps >= min(leastRate(k), maxRate) {
			break
		}
	}
	return best.width, best.height, max(fps, 1)
}

// fits reports whether a picture has at most fs macroblocks, and no side longer
// than a level of that size allows (H.264 annex A.3.1).
func fits(s size, fs int) bool {
	if fs == 0 {
		return true
	}
	side := int(math.Sqrt(float64(8*fs))) * 16
	return macroblocks(s.width, s.height) <= fs && s.width <= side && s.height <= side
}

// frameRate reads a=framerate, which may have a fraction; zero if there is
// none.
func (m *Media) frameRate() int {
	v, _ := m.Attributes.Get("framerate")
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f >= 1 && f <= 1000) {
		return 0
	}
	return int(f)
}

// parameterSets decodes sprop-parameter-sets (RFC 6184 section 8.1) to Annex B;
// nil if they are missing or wrong.
func parameterSets(f format) []byte {
	v, ok := f.param("sprop-parameter-sets")
	if !ok {
		return nil
	}
	var out []byte
	for text := range strings.SplitSeq(v, ",") {
		nal, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
		if err != nil {
			return nil
		}
		const typeSPS, typePPS = 7, 8
		if len(nal) < 2 || nal[0]&0x1f != typeSPS && nal[0]&0x1f != typePPS {
			continue // some send an empty third set, or SEI
		}
		out = append(out, 0, 0, 0, 1)
		out = append(out, nal...)
	}
	return out
}
