package calls

import "github.com/skybridge-media/skybridge/bench/load"

// A Result is a whole run.
type Result struct {
	CPU     string `json:"cpu"`
	VCPUs   int    `json:"vcpus"`
	Seconds int    `json:"seconds"`
	Rows    []Row  `json:"results"`
}

// A Row is one scenario.
type Row struct {
	Profile      string `json:"profile"`
	Mode         string `json:"mode"`
	Codec        string `json:"codec"`
	Transport    string `json:"transport"`
	Levels       bool   `json:"levels"`
	Participants int    `json:"participants"`
	RoomSize     int    `json:"room_size"`
	Talkers      int    `json:"talkers"`
	Width        int    `json:"width,omitempty"`
	Height       int    `json:"height,omitempty"`
	Bitrate      int    `json:"bitrate,omitempty"`

	Cost    float64 `json:"cpu_seconds_per_call_second"`
	PerVCPU float64 `json:"calls_per_vcpu"`
	Eight   float64 `json:"calls_c5_2xlarge"`
	Seed    int     `json:"seed"`
	Ratio   float64 `json:"ratio_to_seed"`
	Reach   float64 `json:"reach,omitempty"`
	Memory  float64 `json:"rss_bytes_per_call"`

	Codecs float64 `json:"codec_cpu_seconds"` // of the codecs alone, per call and second
	Bridge float64 `json:"bridge_ratio"`      // Cost over Codecs

	Routines float64  `json:"goroutines_per_call"`
	Verified Verified `json:"verified"`
}

// Verified is what was found while measuring.
type Verified struct {
	OK        bool    `json:"ok"`
	LateTicks float64 `json:"late_ticks"` // share that began more than 5 ms late
	SetupP99  float64 `json:"setup_p99_ms"`
	Busy      float64 `json:"machine_busy"` // share of all processors, generator included
	*load.Report
}

// project says what the cost means. Nothing is promised by a run that could not
// be verified.
func (r *Row) project() {
	if !r.Verified.OK || r.Cost <= 0 {
		return
	}
	r.PerVCPU = fill / r.Cost
	r.Eight = 8 * r.PerVCPU
	if r.Seed > 0 {
		r.Ratio = r.Eight / float64(r.Seed)
	}
}
