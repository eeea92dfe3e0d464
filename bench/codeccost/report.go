package codeccost

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/skybridge-media/skybridge/bench/result"
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/media/compose"
)

// A Report is everything that `skybridge bench codecs` prints.
type Report struct {
	CPU    result.CPU `json:"cpu"`
	Clip   string     `json:"clip"` // what was shown
	Frames []Frame    `json:"frames"`
	Calls  []CallCost `json:"calls"`
}

// A Frame is one thing that is done per frame: 20 ms of sound, or a picture.
type Frame struct {
	What   string  `json:"what"`              // "encode", "decode" or "scale"
	Codec  string  `json:"codec"`             // encoding name as in SDP, or "I420"
	Of     string  `json:"of"`                // the material and the setting
	Micros float64 `json:"cpu_us"`            // µs of CPU
	PSNR   float64 `json:"psnr_db,omitempty"` // of encoded video, mean
}

// A CallCost is the limit for a kind of call.
type CallCost struct {
	Profile      string  `json:"profile"`
	Mode         string  `json:"mode"`
	Codec        string  `json:"codec"`
	RoomSize     int     `json:"room_size"`
	Cost         float64 `json:"cpu_seconds_per_call_second"`
	CallsPerVCPU float64 `json:"calls_per_vcpu"` // if there were nothing but codecs
}

// Measure returns the report of this machine. what names the meter's film.
func (m *Meter) Measure(what string) (*Report, error) {
	r := &Report{CPU: result.Machine(), Clip: what}
	for _, measure := range []func(*Report) error{m.audioFrames, m.videoFrames, m.scaling, m.calls} {
		if err := measure(r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *Report) add(what, codec, of string, took time.Duration) *Frame {
	r.Frames = append(r.Frames, Frame{What: what, Codec: codec, Of: of, Micros: took.Seconds() * 1e6})
	return &r.Frames[len(r.Frames)-1]
}

func (m *Meter) audioFrames(r *Report) error {
	for _, c := range Audio {
		speech, mix := voices(c, 1, m.length), voices(c, talkers, m.length)
		settings := []codecs.AudioOptions{{}}
		if c == &opus.Mono {
			settings = nil
			for complexity := 1; complexity <= 10; complexity++ {
				settings = append(settings, codecs.AudioOptions{Bitrate: 32_000, Complexity: complexity})
			}
			settings = append(settings, codecs.AudioOptions{Bitrate: 32_000, Complexity: 5, Loss: 10})
		}
		for _, o := range settings {
			setting := ""
			if o.Complexity > 0 {
				setting = fmt.Sprintf(", %d kbit/s, complexity %d", o.Bitrate/1000, o.Complexity)
			}
			if o.Loss > 0 {
				setting += ", FEC"
			}
			took, err := encodeAudio(c, o, speech)
			if err != nil {
				return err
			}
			r.add("encode", c.Name, "a voice"+setting, took)
			if took, err = encodeAudio(c, o, mix); err != nil {
				return err
			}
			r.add("encode", c.Name, fmt.Sprintf("%d voices%s", talkers, setting), took)
		}
		took, err := decodeAudio(c, codecs.AudioOptions{}, speech)
		if err != nil {
			return err
		}
		r.add("decode", c.Name, "a voice", took)
	}
	return nil
}

func (m *Meter) videoFrames(r *Report) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range Video {
		for _, p := range Profiles {
			pic, err := m.picture(c, p)
			if err != nil {
				return err
			}
			of := fmt.Sprintf("%dx%d, %d kbit/s", p.Width, p.Height, p.Bitrate/1000)
			r.add("encode", c.Name, of, pic.encode).PSNR = pic.psnr
			r.add("decode", c.Name, of, pic.decode)
		}
	}
	return nil
}

// scaling measures the tiles of all layouts on a canvas of 720p, and the smaller
// canvases.
func (m *Meter) scaling(r *Report) error {
	film := m.film.Scaled(Profiles[0].Width, Profiles[0].Height)
	sizes := [][2]int{}
	for _, p := range Profiles {
		sizes = append(sizes, [2]int{p.Width, p.Height})
	}
	for _, name := range compose.Layouts() {
		l, err := compose.Parse(name)
		if err != nil {
			return err
		}
		for n := 1; n <= l.Seats(); n++ {
			members := make([]compose.Member, n)
			for i := range members {
				members[i].ID = strconv.Itoa(i)
			}
			a := l.Arrange(members, nil, "", nil)
			for i := range a.Seats {
				rect := a.Rect(i, film.Width(), film.Height())
				sizes = append(sizes, [2]int{rect.W, rect.H})
			}
		}
	}
	slices.SortFunc(sizes, func(a, b [2]int) int { return b[0]*b[1] - a[0]*a[1] })
	for _, size := range slices.Compact(sizes) {
		took, err := scale(film, size[0], size[1])
		if err != nil {
			return err
		}
		r.add("scale", "I420", fmt.Sprintf("%dx%d to %dx%d", film.Width(), film.Height(), size[0], size[1]), took)
	}
	return nil
}

// calls adds the kinds of calls that capacity is published for.
func (m *Meter) calls(r *Report) error {
	var kinds []Call
	for _, c := range Video {
		for _, p := range Profiles {
			kinds = append(kinds,
				Call{Profile: p.Name, Mode: "personal", Codec: c.Name, RoomSize: 8},
				Call{Profile: p.Name, Mode: "meeting", Codec: c.Name, RoomSize: 8},
				Call{Profile: p.Name, Mode: "meeting", Codec: c.Name, RoomSize: 4})
		}
		kinds = append(kinds, Call{Profile: "hd", Mode: "auditorium", Codec: c.Name, RoomSize: 100})
	}
	for _, c := range Audio {
		kinds = append(kinds,
			Call{Profile: "audio", Mode: "personal", Codec: c.Name, RoomSize: 8},
			Call{Profile: "audio", Mode: "meeting", Codec: c.Name, RoomSize: 50})
	}
	for _, k := range kinds {
		cost, err := m.Cost(k)
		if err != nil {
			return err
		}
		r.Calls = append(r.Calls, CallCost{
			Profile: k.Profile, Mode: k.Mode, Codec: k.Codec, RoomSize: k.RoomSize,
			Cost: cost, CallsPerVCPU: result.Usable / cost,
		})
	}
	return nil
}

// Print writes the report as tables.
func (r *Report) Print(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d CPUs; %s\n\n", r.CPU.Model, r.CPU.VCPUs, r.Clip)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "per frame\tcodec\tof\tCPU\t")
	for _, f := range r.Frames {
		quality := ""
		if f.PSNR > 0 {
			quality = fmt.Sprintf("%.1f dB", f.PSNR)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.1f µs\t%s\n", f.What, f.Codec, f.Of, f.Micros, quality)
	}
	fmt.Fprintln(t, "\t\t\t\t")
	fmt.Fprintln(t, "call\tcodec\trooms of\tcodecs alone\tper vCPU")
	for _, c := range r.Calls {
		fmt.Fprintf(t, "%s %s\t%s\t%d\t%.3f ms/s\t%.1f\n", c.Profile, c.Mode, c.Codec, c.RoomSize, 1000*c.Cost, c.CallsPerVCPU)
	}
	return t.Flush()
}
