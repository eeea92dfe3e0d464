package result_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/bench/result"
)

func row(profile string, cost, codec float64) result.Row {
	r := result.Row{
		Key:  result.Key{Profile: profile, Mode: "meeting", Codec: "H264", Transport: "rtp", RoomSize: 8, Senders: "fixed"},
		Cost: cost, CodecCost: codec, Seed: 17, Verified: result.Verified{OK: true},
	}
	r.Derive()
	return r
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestDerive(t *testing.T) {
	r := row("hd", 0.1, 0.08)
	if !near(r.CallsPerVCPU, 8.5) || !near(r.CallsC5, 68) || !near(r.RatioToSeed, 4) || !near(r.BridgeRatio, 1.25) {
		t.Errorf("%+v", r)
	}
	r.Verified.OK = false
	r.Derive()
	if r.CallsPerVCPU != 0 || r.CallsC5 != 0 || r.RatioToSeed != 0 {
		t.Errorf("a capacity of what does not work: %+v", r)
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadWhatWasWritten(t *testing.T) {
	f := &result.File{CPU: result.Machine(), Results: []result.Row{row("hd", 0.1, 0.08), row("sd", 0.04, 0.03)}}
	if f.CPU.Model == "" || f.CPU.VCPUs < 1 {
		t.Errorf("machine %+v", f.CPU)
	}
	var text bytes.Buffer
	if err := f.Write(&text); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{
		`"cpu"`, `"results"`, `"profile"`, `"mode"`, `"codec"`, `"transport"`, `"participants"`, `"cpu_seconds_per_call_second"`,
		`"calls_per_vcpu"`, `"calls_c5_2xlarge"`, `"seed"`, `"ratio_to_seed"`, `"verified"`, `"rss_bytes_per_call"`,
		`"room_size"`, `"codec_cpu_seconds"`, `"bridge_ratio"`, `"senders"`,
	} {
		if !strings.Contains(text.String(), field) {
			t.Errorf("no field %s", field)
		}
	}
	got, err := result.Read(write(t, text.String()))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Results) != 2 || got.Results[1].Key != f.Results[1].Key || got.Results[1].BridgeRatio != f.Results[1].BridgeRatio || got.CPU != f.CPU {
		t.Errorf("%+v became %+v", f, got)
	}
}

func TestReadRefuses(t *testing.T) {
	const good = `{"profile":"hd","mode":"meeting","codec":"H264","transport":"rtp","room_size":8,"cpu_seconds_per_call_second":0.1,"verified":{"ok":true}}`
	for text, want := range map[string]string{
		"":                              "not JSON, line 1",
		"{\n\"results\": [\n}":          "not JSON, line 3",
		`{"results":"none"}`:            "field results: a string",
		`{"results":[]}`:                "field results: missing or empty",
		`{"results":[{"mode":"x"}]}`:    "field results[0].profile: missing",
		`{"results":[{"profile":"x"}]}`: "field results[0].mode: missing",
		`{"results":[` + good + `,{"profile":"x","mode":"y"}]}`:                                    "field results[1].codec: missing",
		`{"results":[{"profile":"x","mode":"y","codec":"z"}]}`:                                     "field results[0].transport: missing",
		`{"results":[` + strings.Replace(good, `"rtp"`, `"rtp","senders":"meek"`, 1) + `]}`:        `results[0].senders: "meek" is none of fixed, tmmbr, simulcast`,
		`{"results":[` + strings.Replace(good, `"rtp"`, `"rtp","simulcast":1`, 1) + `]}`:           "field results.simulcast: a number",
		`{"results":[` + good + `,` + good + `]}`:                                                  "a second row of hd meeting H264 rtp, rooms of 8",
		`{"results":[` + strings.Replace(good, "0.1", `"dear"`, 1) + `]}`:                          "field results.cpu_seconds_per_call_second: a string",
		`{"results":[` + strings.Replace(good, "0.1", `-1`, 1) + `]}`:                              "below zero",
		`{"results":[` + strings.Replace(good, `"cpu_seconds_per_call_second":0.1,`, ``, 1) + `]}`: "missing, though the row is verified",
	} {
		path := write(t, text)
		if _, err := result.Read(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want the path and %q", text, err, want)
		}
	}
	if _, err := result.Read(filepath.Join(t.TempDir(), "missing.json")); err == nil || !strings.Contains(err.Error(), "missing.json") {
		t.Errorf("missing file: %v", err)
	}
}

// Files of before senders had a name are read as what they were, and rows of
// different senders are no pair.
func TestSenders(t *testing.T) {
	const rest = `"profile":"hd","mode":"meeting","codec":"H264","transport":"rtp","room_size":8,"cpu_seconds_per_call_second":0.1,"verified":{"ok":true}}`
	before, err := result.Read(write(t, `{"results":[{`+rest+`,{"simulcast":true,`+rest+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	now, err := result.Read(write(t, `{"results":[{"senders":"tmmbr",`+rest+`,{"senders":"simulcast",`+rest+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range result.Compare(before, now) {
		got = append(got, fmt.Sprintf("%s: %v", c.Key, c.Both()))
	}
	want := []string{
		"hd meeting H264 rtp, rooms of 8: false",
		"hd meeting H264 rtp simulcast, rooms of 8: true",
		"hd meeting H264 rtp, rooms of 8, senders obey TMMBR: false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCompare(t *testing.T) {
	broken := row("sd", 0.04, 0.03)
	broken.Verified.OK = false
	broken.Derive()
	old := &result.File{Results: []result.Row{row("gone", 1, 1), row("hd", 0.1, 0.08), row("sd", 0.04, 0.03), row("audio", 0.001, 0)}}
	now := &result.File{Results: []result.Row{row("new", 1, 1), row("audio", 0.002, 0), broken, row("hd", 0.24, 0.16)}}
	changes := result.Compare(old, now)
	var order []string
	for _, c := range changes {
		order = append(order, c.Profile)
	}
	if got := strings.Join(order, " "); got != "gone hd sd audio new" {
		t.Fatalf("order: %s", got)
	}
	// HD costs more than twice as much, on a machine of half the speed: a fifth
	// of it is the engine's doing.
	if hd := changes[1]; !near(hd.Regression(), 0.2) || !hd.Judged() || hd.Broken() {
		t.Errorf("hd: %+.3f", hd.Regression())
	}
	if sd := changes[2]; !sd.Broken() {
		t.Error("sd: does not work any more, and nobody says so")
	}
	for _, i := range []int{0, 3, 4} {
		if c := changes[i]; c.Judged() || c.Regression() != 0 || c.Broken() {
			t.Errorf("%s: judged without two ratios", c.Profile)
		}
	}
	var text strings.Builder
	if err := result.Print(&text, changes); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"+140.0 %", "1.250", "1.500", "+20.0 %", "does not work any more", "only in the older", "only in the newer", "no codec-only cost"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}
