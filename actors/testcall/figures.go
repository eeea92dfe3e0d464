package testcall

import (
	"fmt"
	"strings"
	"time"

	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/media/port"
)

// packetTime is what a packet holds, and so how old its first sample is when it
// is sent.
const packetTime = 20 * time.Millisecond

// figures are what is known of a call. "From" is what the caller sends.
type figures struct {
	port.Stats
	mosFrom, mosTo float64 // zero: no sound
}

func figuresOf(s port.Stats) figures {
	f := figures{Stats: s}
	oneWay := s.AudioIn.RTT/2 + packetTime
	if s.AudioIn.Packets > 0 {
		f.mosFrom = opinion(rating(lost(s.AudioIn), oneWay+s.AudioIn.Delay))
	}
	if s.AudioOut.Packets > 0 {
		// How long the caller buffers is not told; as long as we, say.
		f.mosTo = opinion(rating(lostOf(s.AudioOut), oneWay+s.AudioIn.Delay))
	}
	return f
}

// lost is the share of the packets that were sent to us and did not come.
func lost(s port.Stream) float64 {
	if s.Lost == 0 {
		return 0
	}
	return float64(s.Lost) / float64(s.Lost+s.Packets)
}

// lostOf is the share of our packets that the peer misses.
func lostOf(s port.Stream) float64 {
	if s.Lost == 0 || s.Packets == 0 {
		return 0
	}
	return min(1, float64(s.Lost)/float64(s.Packets))
}

// lines are what is shown. left is how long the call goes on.
func (f figures) lines(left time.Duration) []string {
	lines := []string{fmt.Sprintf("Test call, %d s left", int(max(left, 0).Round(time.Second)/time.Second))}
	if f.AudioIn.Codec != "" || f.AudioOut.Codec != "" {
		lines = append(lines,
			fmt.Sprintf("Sound from you: %s, %s, jitter %d ms, MOS %s",
				percent(lost(f.AudioIn))+" lost", rate(f.AudioIn.Bitrate), f.AudioIn.Jitter.Milliseconds(), score(f.mosFrom)),
			fmt.Sprintf("Sound to you: %s, %s, MOS %s", percent(lostOf(f.AudioOut))+" lost", rate(f.AudioOut.Bitrate), score(f.mosTo)))
	}
	if f.VideoIn.Codec != "" || f.VideoOut.Codec != "" {
		size := "no picture"
		if f.VideoIn.Width > 0 {
			size = fmt.Sprintf("%dx%d", f.VideoIn.Width, f.VideoIn.Height)
		}
		lines = append(lines,
			fmt.Sprintf("Picture from you: %s, %s, %s", size, percent(lost(f.VideoIn))+" lost", rate(f.VideoIn.Bitrate)),
			fmt.Sprintf("Picture to you: %s, %s", percent(lostOf(f.VideoOut))+" lost", rate(f.VideoOut.Bitrate)))
	}
	trip := "Round trip: not known yet"
	if t := f.trip(); t > 0 {
		trip = fmt.Sprintf("Round trip: %d ms", max(1, t.Milliseconds()))
	}
	return append(lines, trip, "Codecs: "+f.codecs())
}

// codecs names those in use.
func (f figures) codecs() string {
	var names []string
	for _, s := range []port.Stream{f.AudioIn, f.VideoIn} {
		if s.Codec != "" {
			names = append(names, s.Codec)
		}
	}
	return strings.Join(names, ", ")
}

func (f figures) trip() time.Duration { return max(f.AudioIn.RTT, f.VideoIn.RTT) }

// spoken is the result in words.
func (f figures) spoken() string {
	var b strings.Builder
	b.WriteString("Your results. ")
	switch {
	case f.mosFrom == 0 && f.VideoIn.Packets == 0:
		b.WriteString("We receive nothing from you. ")
	case f.mosFrom == 0:
		b.WriteString("We receive no sound from you. ")
	default:
		fmt.Fprintf(&b, "Sound from you: %s lost, quality %s. ", inWords(lost(f.AudioIn)), word(f.mosFrom))
	}
	if f.mosTo > 0 {
		fmt.Fprintf(&b, "Sound to you: %s lost, quality %s. ", inWords(lostOf(f.AudioOut)), word(f.mosTo))
	}
	if f.VideoIn.Packets > 0 {
		fmt.Fprintf(&b, "Picture from you: %d by %d, %s lost. ", f.VideoIn.Width, f.VideoIn.Height, inWords(lost(f.VideoIn)))
	}
	switch t := f.trip(); {
	case t <= 0:
	case t < 2*time.Millisecond:
		b.WriteString("Round trip: less than two milliseconds.")
	default:
		fmt.Fprintf(&b, "Round trip: %d milliseconds.", t.Milliseconds())
	}
	return b.String()
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// inWords is how a share is said: whole percent, and what is less than half a
// percent is not nothing.
func inWords(share float64) string {
	switch {
	case share == 0:
		return "nothing"
	case share < 0.005:
		return "less than one percent"
	}
	return fmt.Sprintf("%.0f percent", 100*share)
}

func rate(bps int) string {
	if bps >= 1_000_000 {
		return fmt.Sprintf("%.1f Mbit/s", float64(bps)/1e6)
	}
	return fmt.Sprintf("%d kbit/s", bps/1000)
}

func score(mos float64) string {
	if mos == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%.1f (%s)", mos, word(mos))
}

// event is what the bus is told.
func (f figures) event() bus.TestCallFinished {
	return bus.TestCallFinished{
		MOSFrom: f.mosFrom, MOSTo: f.mosTo,
		LossFrom: lost(f.AudioIn), LossTo: lostOf(f.AudioOut), VideoLossFrom: lost(f.VideoIn), VideoLossTo: lostOf(f.VideoOut),
		Jitter: bus.Seconds(f.AudioIn.Jitter), RoundTrip: bus.Seconds(f.trip()),
		AudioCodec: f.AudioIn.Codec, VideoCodec: f.VideoIn.Codec, Width: f.VideoIn.Width, Height: f.VideoIn.Height,
		AudioRateFrom: f.AudioIn.Bitrate, AudioRateTo: f.AudioOut.Bitrate, VideoRateFrom: f.VideoIn.Bitrate, VideoRateTo: f.VideoOut.Bitrate,
	}
}
