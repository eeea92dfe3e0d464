package port

import (
	"time"

	"github.com/skybridge-media/skybridge/codecs"
)

// A tier is a quality that video is sent in. There are few, so that receivers
// with similar paths share one encode.
type tier struct{ width, height, frameRate, bitrate int }

// tiers, best first. A bitrate is what openh264 and libvpx need for a picture
// of faces in tiles at that size.
var tiers = [...]tier{
	{1280, 720, 30, 1_800_000},
	{640, 360, 30, 600_000},
	{320, 180, 15, 200_000},
}

// contentTiers are the same for what somebody presents: text rather than faces,
// so that pictures per second are given up before pixels.
var contentTiers = [...]tier{
	{1920, 1080, 15, 2_500_000},
	{1280, 720, 15, 1_200_000},
	{1280, 720, 5, 500_000},
	{640, 360, 5, 200_000},
}

// tiers are those that v may be sent in.
func (v *Video) tiers() []tier {
	if v.content {
		return contentTiers[:]
	}
	return tiers[:]
}

// bitrates are what a peer's limit is rounded down to, for the same reason.
var bitrates = [...]int{2_500_000, 1_800_000, 1_500_000, 1_200_000, 1_000_000, 800_000, 768_000, 600_000, 500_000, 400_000, 300_000, 200_000, 128_000, 64_000}

// best returns the best tier for v that a bitrate limit allows; zero is none.
// Below 60 % of what a size needs, a smaller one looks better.
func best(v *Video, limit int) int {
	of := v.tiers()
	for i, t := range of {
		width, height := v.fit(t)
		if v.content && i+1 < len(of) && of[i+1].frameRate == t.frameRate {
			if w, h := v.fit(of[i+1]); w == width && h == height {
				continue // the next one is made for what the peer takes
			}
		}
		needed := t.bitrate * width * height / (t.width * t.height)
		if limit == 0 || limit*10 >= needed*6 {
			return i
		}
	}
	return len(of) - 1
}

// fit returns the size of a tier's picture for v: its own if the peer takes
// that, the largest that the peer takes if that has nearly the same shape, and
// otherwise the shape of the tier within what the peer takes.
func (v *Video) fit(t tier) (width, height int) {
	const tolerance = 8 // as for compositions: an eighth
	width, height = t.width, t.height
	across, down := v.Width*t.height, v.Height*t.width
	if alike := across*(tolerance-1) < down*tolerance && down*(tolerance-1) < across*tolerance; v.Width > 0 && alike {
		if v.Width <= width && v.Height <= height {
			width, height = v.Width, v.Height
		}
		return max(width&^1, 2), max(height&^1, 2)
	}
	if v.Width > 0 && width > v.Width {
		width, height = v.Width, height*v.Width/width
	}
	if v.Height > 0 && height > v.Height {
		width, height = width*v.Height/height, v.Height
	}
	return max(width&^1, 2), max(height&^1, 2)
}

// options returns what to encode for v in tier i, within a bitrate limit; zero:
// none.
func options(v *Video, limit, i int) codecs.VideoOptions {
	t := v.tiers()[i]
	width, height := v.fit(t)
	if limit > 0 {
		t.bitrate = min(t.bitrate, roundBitrate(limit))
	}
	if v.FrameRate > 0 {
		t.frameRate = min(t.frameRate, v.FrameRate)
	}
	o := codecs.VideoOptions{Width: width, Height: height, FrameRate: t.frameRate, Bitrate: t.bitrate}
	if v.Codec.Name == "H264" && v.Mode == 0 {
		o.MaxSlice = v.payload()
	}
	return o
}

func roundBitrate(limit int) int {
	for _, b := range bitrates {
		if b <= limit {
			return b
		}
	}
	return limit
}

const (
	// usualPayload leaves room for SRTP, TURN and tunnels within 1280 bytes,
	// the least MTU of IPv6.
	usualPayload = 1150
	leastPayload = 200
)

// payload returns how many bytes a packet to the peer may carry.
func (v *Video) payload() int {
	if v.MaxPayload == 0 {
		return usualPayload
	}
	return max(v.MaxPayload, leastPayload)
}

const (
	// lossBad in a report means that the path is full: retransmission repairs
	// less than that.
	lossBad  = 0.10
	lossGood = 0.02

	// A better tier is tried after the path was good for so long. Each failure
	// doubles the time; a tier that held for as long resets it.
	firstTrial   = 10 * time.Second
	longestTrial = 2 * time.Minute

	// settle is how long after a change its effect is waited for.
	settle = 2 * time.Second

	// An estimate that was not repeated for so long says nothing any more.
	estimateAge = 10 * time.Second

	// How long a fall of it counts.
	fallAge = 3 * time.Second
)

// An adapter picks the tier for a receiver from what it reports: down at once,
// up by careful trial. Not safe for concurrent use.
type adapter struct {
	of   []tier // nil: those of a camera's picture
	tier int    // index into them

	others     int // bit/s that another stream takes of the estimate
	estimate   int // bit/s the receiver believes it can take altogether (REMB); 0: none
	estimateAt time.Time
	fell       time.Time // when it was last less than before

	since   time.Time     // of the last change, or of the last bad sign
	changed time.Time     // of the last change
	trial   time.Duration // how long the path must be good before the next try
	trying  bool          // the last change was a try
}

// begin starts over at tier i.
func (a *adapter) begin(i int, now time.Time) {
	*a = adapter{of: a.of, tier: i, since: now, trial: firstTrial}
}

func (a *adapter) tiers() []tier {
	if a.of == nil {
		return tiers[:]
	}
	return a.of
}

// estimated takes a receiver's estimate.
func (a *adapter) estimated(bitrate int, now time.Time) {
	if bitrate < a.estimate {
		a.fell = now
	}
	a.estimate, a.estimateAt = bitrate, now
}

// lossy takes the share of packets lost in the latest report.
func (a *adapter) lossy(loss float64, now time.Time) {
	switch {
	case loss >= lossBad && now.Sub(a.changed) >= settle:
		a.down(a.tier+1, now)
	case loss > lossGood:
		a.since = now
	}
}

// review compares the estimate with what is sent, in bit/s, and moves up after
// a while without bad signs. ceiling is the best tier allowed.
func (a *adapter) review(rate, ceiling int, now time.Time) {
	fresh := a.estimate > 0 && now.Sub(a.estimateAt) < estimateAge
	// A receiver's estimate grows slowly, and not beyond one and a half times
	// what it gets: after a still picture it is low and says nothing. Only one
	// that falls below what we send means that the path is full.
	left := a.estimate - a.others
	if fresh && rate > max(left, 0) && now.Sub(a.fell) < fallAge && now.Sub(a.changed) >= settle {
		fit := len(a.tiers()) - 1
		for i, t := range a.tiers() {
			if t.bitrate <= left {
				fit = i
				break
			}
		}
		a.down(max(fit, a.tier+1), now)
		return
	}
	if a.trying && now.Sub(a.changed) >= a.trial {
		a.trying, a.trial = false, firstTrial
	}
	room := !fresh || left >= a.tiers()[max(a.tier-1, 0)].bitrate || left*10 >= rate*13
	if a.tier > ceiling && room && now.Sub(a.since) >= a.trial {
		a.tier--
		a.since, a.changed, a.trying = now, now, true
	}
}

func (a *adapter) down(to int, now time.Time) {
	a.since = now
	to = min(to, len(a.tiers())-1)
	if to <= a.tier {
		return
	}
	if a.trying {
		a.trial = min(2*a.trial, longestTrial)
	}
	a.tier, a.changed, a.trying = to, now, false
}
