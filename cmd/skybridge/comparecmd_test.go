package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/bench/result"
)

// compare runs the command on two files of one row each, and returns what it
// printed.
func compare(t *testing.T, old, now result.Row, flags ...string) (string, error) {
	t.Helper()
	args := append([]string{"bench", "compare"}, flags...)
	for i, r := range []result.Row{old, now} {
		path := filepath.Join(t.TempDir(), string(rune('a'+i))+".json")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		r.Derive()
		if err := (&result.File{Results: []result.Row{r}}).Write(f); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	var out strings.Builder
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func talking(r result.Row) result.Row { r.Talkers++; return r }

func codecless(r result.Row) result.Row { r.CodecCost = 0; return r }

func TestCompareCommand(t *testing.T) {
	row := func(cost float64, ok bool) result.Row {
		return result.Row{
			Key:  result.Key{Profile: "hd", Mode: "personal", Codec: "H264", Transport: "rtp", RoomSize: 8},
			Cost: cost, CodecCost: 0.2, Verified: result.Verified{OK: ok},
		}
	}
	for _, test := range []struct {
		name     string
		old, now result.Row
		flags    []string
		want     string // in the error; empty: none
	}{
		{"better", row(0.24, true), row(0.22, true), []string{"--max-regression", "0.2"}, ""},
		{"within", row(0.24, true), row(0.28, true), []string{"--max-regression", "0.2"}, ""},
		{"worse", row(0.24, true), row(0.30, true), []string{"--max-regression", "0.2"}, "hd personal H264 rtp, rooms of 8: costs 1.500 times its codecs, 1.200 before: +25.0 %"},
		{"nobody asked", row(0.24, true), row(0.48, true), nil, ""},
		{"broken", row(0.24, true), row(0.24, false), []string{"--max-regression", "0.2"}, "does not work any more"},
		{"nothing in common", row(0.24, true), result.Row{Key: result.Key{Profile: "sd", Mode: "personal", Codec: "H264", Transport: "rtp"}, Cost: 1, CodecCost: 1}, []string{"--max-regression", "0.2"}, "missing in the newer"},
		{"other work", row(0.24, true), talking(row(0.24, true)), []string{"--max-regression", "0.2"}, "not the same work"},
		{"codecs unknown", row(0.24, true), codecless(row(0.24, true)), []string{"--max-regression", "0.2"}, "does not know the cost of its codecs"},
		{"no share", row(0.24, true), row(0.24, true), []string{"--max-regression", "NaN"}, "max-regression: NaN is not a share"},
	} {
		out, err := compare(t, test.old, test.now, test.flags...)
		if !strings.Contains(out, "hd personal H264 rtp, rooms of 8") {
			t.Errorf("%s: no row in\n%s", test.name, out)
		}
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}
