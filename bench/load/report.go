package load

import (
	"fmt"
	"slices"
	"time"
)

// A Report is what receivers found in the window. Problems is empty if
// everything was as it should be.
type Report struct {
	Seconds float64      `json:"seconds"` // length of the window
	Lost    int          `json:"calls_lost"`
	Late    int64        `json:"generator_late_ms"` // that the generator was behind at most
	Unsent  int64        `json:"packets_unsent"`    // that the generator could not send, since the beginning
	Audio   AudioReport  `json:"audio"`
	Video   *VideoReport `json:"video,omitempty"`

	Problems []string `json:"problems,omitempty"`
}

// AudioReport is about all receivers.
type AudioReport struct {
	Receivers    int     `json:"receivers"`
	Rate         float64 `json:"packets_per_second_min"` // of the worst receiver
	Gaps         int     `json:"gaps"`                   // packets missing by sequence number, all receivers
	Listened     int     `json:"listened"`               // receivers whose sound was decoded
	TonesHeard   int     `json:"tones_heard"`
	TonesMissing int     `json:"tones_missing"`
	OwnHeard     int     `json:"own_heard"` // talkers that heard themselves
}

// VideoReport is about all receivers, its second half about the watched ones.
type VideoReport struct {
	Receivers int     `json:"receivers"`
	Rate      float64 `json:"pictures_per_second_min"` // of the worst receiver
	Gaps      int     `json:"gaps"`
	Bitrate   float64 `json:"bitrate_mean"`      // bit/s of RTP that each received
	Sent      float64 `json:"bitrate_sent_mean"` // and that each sent

	// Of senders that obey.
	Limits   int       `json:"bitrate_limits,omitempty"` // requests obeyed (TMMBR), since the beginning
	Versions []float64 `json:"versions,omitempty"`       // which share of pictures was sent in which version, the least first

	Watched     int     `json:"watched"`
	Decoded     int     `json:"decoded"`
	Undecodable int     `json:"undecodable"`
	Width       int     `json:"width"`
	Height      int     `json:"height"`
	Tiles       int     `json:"tiles_right"`
	TilesWrong  int     `json:"tiles_wrong"`
	PSNR        float64 `json:"psnr_mean_db"` // against the ideal composition
	PSNRMin     float64 `json:"psnr_min_db"`
	PSNRWhole   float64 `json:"psnr_unlimited_mean_db,omitempty"` // the same, had nobody been asked to send less
	Limit       float64 `json:"psnr_limit_db"`                    // what the codec can do with this composition at this bitrate
	Latency     float64 `json:"latency_mean_ms"`                  // from sending a picture to receiving the composition
}

const (
	// A receiver must get 50 packets and 30 pictures a second, but for what the
	// edges of the window cut off, and one picture of thirty.
	leastAudio = 49.5
	leastVideo = 29.0 / 30
)

// complain adds a problem.
func (r *Report) complain(format string, args ...any) {
	const most = 20
	if len(r.Problems) < most {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// report sums up what all receivers counted, and verifies what was kept.
func (g *generator) report() *Report {
	r := &Report{Seconds: g.window().Seconds(), Late: g.engine.late.Load(), Lost: g.lost}
	if r.Lost > 0 {
		r.complain("%d calls were ended by the server", r.Lost)
	}
	for _, m := range g.members {
		r.Unsent += m.audio.unsent.Load()
		if m.video != nil {
			r.Unsent += m.video.unsent.Load()
		}
	}
	if r.Unsent > 0 {
		r.complain("callers could not send %d packets", r.Unsent)
	}
	r.Audio.Rate = -1
	for _, m := range g.members {
		f := m.audio
		rate := float64(f.ended.packets-f.began.packets) / r.Seconds
		if r.Audio.Receivers++; r.Audio.Rate < 0 || rate < r.Audio.Rate {
			r.Audio.Rate = rate
		}
		r.Audio.Gaps += f.ended.gaps - f.began.gaps
	}
	if r.Audio.Rate < leastAudio {
		r.complain("a receiver got %.1f audio packets per second", r.Audio.Rate)
	}
	if r.Audio.Gaps > 0 {
		r.complain("%d audio packets are missing", r.Audio.Gaps)
	}
	g.listen(r)
	if g.spec.Video != nil {
		g.reportVideo(r)
	}
	return r
}

// window is how long was counted, by what the sending clock says.
func (g *generator) window() time.Duration { return g.engine.ended.Sub(g.engine.began) }

func (g *generator) reportVideo(r *Report) {
	v := &VideoReport{Rate: -1}
	r.Video = v
	var bytes int
	for _, m := range g.members {
		f := m.video
		rate := float64(f.ended.pictures-f.began.pictures) / r.Seconds
		if v.Receivers++; v.Rate < 0 || rate < v.Rate {
			v.Rate = rate
		}
		v.Gaps += f.ended.gaps - f.began.gaps
		bytes += f.ended.bytes - f.began.bytes
	}
	v.Bitrate = 8 * float64(bytes) / r.Seconds / float64(v.Receivers)
	g.reportSent(v, r.Seconds)
	if least := leastVideo * float64(g.spec.Video.FrameRate); v.Rate < least {
		r.complain("a receiver got %.1f pictures per second, %.1f are required", v.Rate, least)
	}
	if v.Gaps > 0 {
		r.complain("%d video packets are missing", v.Gaps)
	}
	g.watch(r)
}

// reportSent sums up what members sent in the window.
func (g *generator) reportSent(v *VideoReport, seconds float64) {
	bytes, pictures := 0, 0
	versions := make([]float64, len(g.spec.Video.Layers))
	for _, m := range g.members {
		v.Limits += m.limits
		for _, s := range m.sent {
			if s.at.Before(g.engine.began) || s.at.After(g.engine.ended) {
				continue
			}
			for _, c := range m.sending(s.version) {
				for _, p := range c.payloads[s.pos] {
					bytes += headerSize + len(p)
				}
			}
			versions[s.version]++
			pictures++
		}
	}
	v.Sent = 8 * float64(bytes) / seconds / float64(len(g.members))
	if g.spec.Video.Senders != TMMBR || pictures == 0 {
		return
	}
	for i := range versions {
		versions[i] /= float64(pictures)
	}
	v.Versions = versions
}

// percentile returns the p-th percentile in milliseconds.
func percentile(d []time.Duration, p int) float64 {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return float64(d[(len(d)-1)*p/100].Microseconds()) / 1000
}
