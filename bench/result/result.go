// Package result is what a measurement of calls reports: the file that
// `skybridge bench calls --json` writes and `skybridge bench compare` reads.
package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// Usable is the share of a machine's CPU that capacity is reckoned with: the
// rest is for what comes in bursts, such as joins and key frames.
const Usable = 0.85

// C52XLarge is the number of vCPUs of the instance that the reference figures
// are read for.
const C52XLarge = 8

// A File is the outcome of one run.
type File struct {
	CPU     CPU   `json:"cpu"`
	Results []Row `json:"results"`
}

// A CPU is the machine that was measured.
type CPU struct {
	Model string `json:"model"`
	VCPUs int    `json:"vcpus"`
}

// A Key tells rows apart.
type Key struct {
	Profile   string `json:"profile"`   // "audio", "sd", "sd360", "hd"
	Mode      string `json:"mode"`      // "meeting", "personal", "auditorium"
	Codec     string `json:"codec"`     // encoding name as in SDP
	Transport string `json:"transport"` // "rtp", "srtp", "webrtc"
	RoomSize  int    `json:"room_size"` // participants in a room

	// Senders says how those who send video choose their bitrate: "fixed" (not at
	// all), "tmmbr" (as they are asked to), "simulcast" (several sizes at once).
	Senders string `json:"senders"`
}

func (k Key) String() string {
	senders := ""
	switch k.Senders {
	case tmmbr:
		senders = ", senders obey TMMBR"
	case simulcast:
		k.Transport += " simulcast"
	}
	return fmt.Sprintf("%s %s %s %s, rooms of %d%s", k.Profile, k.Mode, k.Codec, k.Transport, k.RoomSize, senders)
}

// What [Key].Senders says.
const (
	fixed     = "fixed"
	tmmbr     = "tmmbr"
	simulcast = "simulcast"
)

// A Row is what one kind of call costs.
type Row struct {
	Key

	Participants int  `json:"participants"`
	Talkers      int  `json:"talkers"`          // of each room
	Levels       bool `json:"levels,omitempty"` // RFC 6464 was negotiated

	// Of the picture that is sent, and received at most. Zero: audio only.
	Width   int `json:"width,omitempty"`
	Height  int `json:"height,omitempty"`
	Bitrate int `json:"bitrate,omitempty"` // bit/s

	// Cost is the CPU time of the server process, user and system, per second
	// and call: CPU seconds per second.
	Cost float64 `json:"cpu_seconds_per_call_second"`

	// CodecCost is what of it the codec libraries alone need for one such call,
	// measured in the same run. Zero: nothing is coded, or it was not measured.
	CodecCost float64 `json:"codec_cpu_seconds,omitempty"`

	// BridgeRatio is Cost over CodecCost: what the engine adds. Both change with
	// the machine and its load alike, which makes it the figure to compare.
	BridgeRatio float64 `json:"bridge_ratio,omitempty"`

	CallsPerVCPU float64 `json:"calls_per_vcpu"`
	CallsC5      float64 `json:"calls_c5_2xlarge"`
	Seed         float64 `json:"seed,omitempty"` // calls on the same, of the reference
	RatioToSeed  float64 `json:"ratio_to_seed,omitempty"`

	// Reach is what CallsC5 has to be; zero: nobody has said.
	Reach float64 `json:"reach,omitempty"`

	Verified    Verified   `json:"verified"`
	RSSPerCall  int64      `json:"rss_bytes_per_call"`
	Goroutines  float64    `json:"goroutines_per_call"`
	Saturated   *Saturated `json:"saturated,omitempty"`
	Description string     `json:"description,omitempty"` // what else is special about the run
}

// Saturated is a second run, with as much load as a node is filled with.
type Saturated struct {
	Participants int      `json:"participants"`
	Cost         float64  `json:"cpu_seconds_per_call_second"`
	Verified     Verified `json:"verified"`
}

// Verified says whether everybody got what they should while the cost was
// measured. Figures that a profile does not have are zero.
type Verified struct {
	OK       bool     `json:"ok"`
	Failures []string `json:"failures,omitempty"`

	FrameRate float64 `json:"frames_per_second,omitempty"` // least of all receivers
	PSNR      float64 `json:"psnr_db,omitempty"`           // mean of the sampled pictures
	AudioGaps int     `json:"audio_gaps,omitempty"`        // packets that did not come, all receivers
	Busy      float64 `json:"machine_busy"`                // share of all processors, load generator included
	SetupP99  float64 `json:"setup_p99_ms"`                // from INVITE to ACK

	// Shares of the mixer's ticks that began more than 5 ms late, 0 to 1: of all,
	// and of those in seconds in which the machine itself did not stand still,
	// which is the one that is judged. They are the same if nobody could tell.
	LateTicksAll float64 `json:"late_ticks_all,omitempty"`
	LateTicks    float64 `json:"late_ticks,omitempty"`

	// Machine is what was seen of the machine meanwhile; nil where the privilege
	// to look (CAP_SYS_NICE) was missing.
	Machine *Stood `json:"machine,omitempty"`

	Details any `json:"details,omitempty"` // what the load generator reports
}

// Stood is how steady the processors of a machine were. Those of a virtual one
// stand still now and then, and change their speed.
type Stood struct {
	Seconds int     `json:"seconds_stood_still"`          // in which one did nothing for 3 ms or more
	Longest float64 `json:"longest_stop_ms,omitempty"`    //
	Probe   float64 `json:"probe_microseconds,omitempty"` // CPU time of a fixed piece of work, on average
}

// Derive fills in what follows from Cost, CodecCost, Seed, Verified and Saturated.
// A row that was not verified, or only with less load than it promises, has no
// capacity.
func (r *Row) Derive() {
	r.BridgeRatio, r.CallsPerVCPU, r.CallsC5, r.RatioToSeed = 0, 0, 0, 0
	if r.CodecCost > 0 {
		r.BridgeRatio = r.Cost / r.CodecCost
	}
	if !r.Verified.OK || r.Saturated != nil && !r.Saturated.Verified.OK || r.Cost <= 0 {
		return
	}
	r.CallsPerVCPU = Usable / r.Cost
	r.CallsC5 = C52XLarge * r.CallsPerVCPU
	if r.Seed > 0 {
		r.RatioToSeed = r.CallsC5 / r.Seed
	}
}

// Read returns what is in the file at path. Errors name the file and, where
// there is one, the field.
func Read(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	f, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("result: %s: %w", path, err)
	}
	return f, nil
}

func parse(data []byte) (*File, error) {
	f := &File{}
	if err := decode(data, f); err != nil {
		return nil, err
	}
	if len(f.Results) == 0 {
		return nil, errors.New("field results: missing or empty")
	}
	if err := f.nameSenders(data); err != nil {
		return nil, err
	}
	seen := map[Key]bool{}
	for i, r := range f.Results {
		at := func(field, what string) error { return fmt.Errorf("field results[%d].%s: %s", i, field, what) }
		switch {
		case r.Profile == "":
			return nil, at("profile", "missing")
		case r.Mode == "":
			return nil, at("mode", "missing")
		case r.Codec == "":
			return nil, at("codec", "missing")
		case r.Transport == "":
			return nil, at("transport", "missing")
		case r.Senders != fixed && r.Senders != tmmbr && r.Senders != simulcast:
			return nil, at("senders", fmt.Sprintf("%q is none of %s, %s, %s", r.Senders, fixed, tmmbr, simulcast))
		case r.Cost < 0 || r.CodecCost < 0 || r.BridgeRatio < 0:
			return nil, at("cpu_seconds_per_call_second", "a cost below zero")
		case r.Verified.OK && r.Cost == 0:
			return nil, at("cpu_seconds_per_call_second", "missing, though the row is verified")
		case seen[r.Key]:
			return nil, at("profile", "a second row of "+r.String())
		}
		seen[r.Key] = true
	}
	return f, nil
}

// decode reads JSON. Errors name the line or the field.
func decode(data []byte, to any) error {
	err := json.Unmarshal(data, to)
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		line := 1 + bytes.Count(data[:min(int(e.Offset), len(data))], []byte{'\n'})
		return fmt.Errorf("not JSON, line %d: %w", line, err)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("field %s: a %s where a %s belongs", e.Field, e.Value, e.Type)
	}
	return err
}

// nameSenders fills in the senders of rows in files that do not have the field:
// those say "simulcast": true where there is one, and know of nobody who obeys.
func (f *File) nameSenders(data []byte) error {
	var before struct {
		Results []struct {
			Simulcast bool `json:"simulcast"`
		} `json:"results"`
	}
	if err := decode(data, &before); err != nil {
		return err
	}
	for i := range f.Results {
		switch r := &f.Results[i]; {
		case r.Senders != "":
		case before.Results[i].Simulcast:
			r.Senders = simulcast
		default:
			r.Senders = fixed
		}
	}
	return nil
}

// Write writes f, indented.
func (f *File) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(f); err != nil {
		return fmt.Errorf("result: %w", err)
	}
	return nil
}

// Machine describes the machine that this process runs on.
func Machine() CPU {
	cpu := CPU{Model: runtime.GOARCH, VCPUs: runtime.NumCPU()}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return cpu // the architecture says something too
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			cpu.Model = strings.TrimSpace(value)
			break
		}
	}
	return cpu
}
