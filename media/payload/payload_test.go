package payload_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/skybridge-media/skybridge/media/payload"
)

// nal returns a NAL unit of n bytes with that header, without start code
// emulation in it.
func nal(header byte, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(uint64(header), uint64(n)))
	for i := range b {
		b[i] = byte(1 + r.IntN(255))
	}
	b[0] = header
	return b
}

func annexB(nals ...[]byte) []byte {
	var unit []byte
	for _, n := range nals {
		unit = append(append(unit, 0, 0, 0, 1), n...)
	}
	return unit
}

func TestH264(t *testing.T) {
	sps, pps, idr, slice := nal(0x67, 12), nal(0x68, 4), nal(0x65, 5000), nal(0x41, 300)
	tests := []struct {
		name  string
		unit  []byte
		mode  int
		types []byte // NAL unit type of each payload
	}{
		{"key frame", annexB(sps, pps, idr), 1, []byte{24, 28, 28, 28, 28, 28}},
		{"one small slice", annexB(slice), 1, []byte{1}},
		{"many slices travel together", annexB(slice, slice, slice, slice, slice), 1, []byte{24, 24}},
		{"parameter sets around a slice above the limit", annexB(sps, idr, pps), 1, []byte{7, 28, 28, 28, 28, 28, 8}},
		{"mode 0 sends single units only", annexB(sps, pps, slice, slice), 0, []byte{7, 8, 1, 1}},
		{"mode 0 cannot cut", annexB(idr), 0, []byte{5}},
		{"three byte start codes", slices.Concat([]byte{0, 0, 1}, sps, []byte{0, 0, 1}, pps), 1, []byte{24}},
		{"nothing", nil, 1, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			payloads, err := payload.Packetize("H264", tt.unit, tt.mode, 1100)
			if err != nil {
				t.Fatal(err)
			}
			var types []byte
			for _, p := range payloads {
				types = append(types, p[0]&0x1f)
				if tt.mode == 1 && len(p) > 1100 {
					t.Errorf("payload of %d bytes", len(p))
				}
			}
			if !bytes.Equal(types, tt.types) {
				t.Errorf("payload types %v, want %v", types, tt.types)
			}
			want := bytes.ReplaceAll(tt.unit, []byte{0, 0, 0, 1}, []byte{0, 0, 1})
			got := bytes.ReplaceAll(assemble(t, "H264", payloads), []byte{0, 0, 0, 1}, []byte{0, 0, 1})
			if !bytes.Equal(got, want) {
				t.Errorf("assembled %d bytes, want the %d that were cut", len(got), len(want))
			}
		})
	}
}

// RFC 6184, section 5.7: "The value of NRI MUST be the maximum of all the NAL
// units carried in the aggregation packet."
func TestSTAPAHeader(t *testing.T) {
	payloads, err := payload.Packetize("H264", annexB(nal(0x06, 10), nal(0x68, 4), nal(0x41, 4)), 1, 1100)
	if err != nil || len(payloads) != 1 {
		t.Fatalf("%d payloads, %v", len(payloads), err)
	}
	if got := payloads[0][0]; got != 0x60|24 {
		t.Errorf("STAP-A header %#x, want %#x", got, 0x60|24)
	}
}

func TestVP8(t *testing.T) {
	for _, n := range []int{1, 1099, 1100, 5000} {
		unit := nal(0x10, n)
		payloads, err := payload.Packetize("VP8", unit, 0, 1100)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range payloads {
			if want := byte(0x10); i == 0 && p[0] != want || i > 0 && p[0] != 0 {
				t.Errorf("descriptor %#x at payload %d", p[0], i)
			}
			if len(p) > 1100 {
				t.Errorf("payload of %d bytes", len(p))
			}
		}
		if got := assemble(t, "VP8", payloads); !bytes.Equal(got, unit) {
			t.Errorf("assembled %d bytes, want the %d that were cut", len(got), n)
		}
	}
}

// TestVP8Descriptors reads every optional field of RFC 7741, section 4.2.
func TestVP8Descriptors(t *testing.T) {
	tests := []struct {
		name string
		p    []byte
		ok   bool
	}{
		{"none", []byte{0x10, 'x'}, true},
		{"non-reference", []byte{0x30, 'x'}, true},
		{"short picture ID", []byte{0x90, 0x80, 0x11, 'x'}, true},
		{"long picture ID", []byte{0x90, 0x80, 0x91, 0x22, 'x'}, true},
		{"TL0PICIDX", []byte{0x90, 0x40, 9, 'x'}, true},
		{"TID", []byte{0x90, 0x20, 0x40, 'x'}, true},
		{"KEYIDX", []byte{0x90, 0x10, 0x03, 'x'}, true},
		{"TID and KEYIDX share a byte", []byte{0x90, 0x30, 0x43, 'x'}, true},
		{"all", []byte{0x90, 0xf0, 0x91, 0x22, 9, 0x43, 'x'}, true},
		{"ends in the picture ID", []byte{0x90, 0x80, 0x91}, false},
		{"ends in the extension", []byte{0x90}, false},
		{"nothing behind", []byte{0x90, 0x40, 9}, false},
		{"not a beginning", []byte{0x00, 'x'}, false},
		{"second partition", []byte{0x11, 'x'}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := payload.NewAssembler("VP8", nil)
			if err != nil {
				t.Fatal(err)
			}
			err = a.Add(tt.p)
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, payload.ErrMalformed) {
				t.Fatalf("error %v", err)
			}
			if got := string(a.Unit()); tt.ok && got != "x" {
				t.Errorf("body %q, want x", got)
			}
		})
	}
}

func TestParametersInFrontOfIDR(t *testing.T) {
	sps, pps, idr, slice := nal(0x67, 12), nal(0x68, 4), nal(0x65, 50), nal(0x41, 30)
	newer := nal(0x67, 13)
	a, err := payload.NewAssembler("H264", annexB(sps, pps))
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		name string
		nals [][]byte
		want []byte
	}{
		{"signalled ones", [][]byte{idr}, annexB(sps, pps, idr)},
		{"not before other slices", [][]byte{slice}, annexB(slice)},
		{"new ones in a unit of their own", [][]byte{newer, pps}, annexB(newer, pps)},
		{"are used from then on", [][]byte{idr}, annexB(newer, pps, idr)},
		{"again", [][]byte{idr}, annexB(newer, pps, idr)},
		{"not twice", [][]byte{sps, pps, idr}, annexB(sps, pps, idr)},
	}
	for _, s := range steps {
		for _, n := range s.nals {
			if err := a.Add(n); err != nil {
				t.Fatal(err)
			}
		}
		if got := a.Unit(); !bytes.Equal(got, s.want) {
			t.Errorf("%s: % x, want % x", s.name, got, s.want)
		}
	}
}

func TestMalformedH264(t *testing.T) {
	for name, p := range map[string][]byte{
		"empty":                        {},
		"type 0":                       {0},
		"STAP-B":                       {25, 0, 0},
		"FU-B":                         {29, 0x85, 1, 2},
		"FU-A without a beginning":     {28, 0x05, 1, 2},
		"FU-A of a STAP-A":             {28, 0x98, 1, 2},
		"short FU-A":                   {28, 0x85},
		"STAP-A ends inside a size":    {24, 0},
		"STAP-A announces too much":    {24, 0, 9, 0x67},
		"STAP-A holds an aggregation":  {24, 0, 1, 24},
		"STAP-A ends after one unit":   {24, 0, 1, 0x68, 0},
		"STAP-A with an oversized end": {24, 0, 1, 0x68, 0xff, 0xff, 1},
	} {
		a, err := payload.NewAssembler("H264", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Add(p); !errors.Is(err, payload.ErrMalformed) {
			t.Errorf("%s: error %v, want ErrMalformed", name, err)
		}
	}
}

func TestKeyStart(t *testing.T) {
	tests := []struct {
		codec string
		p     []byte
		want  payload.Start
	}{
		{"H264", []byte{0x65, 0x88}, payload.LikelyKey},
		{"H264", []byte{0x65, 0x48}, payload.NotKey}, // not the first slice
		{"H264", []byte{0x67, 1}, payload.SurelyKey},
		{"H264", []byte{0x68, 1}, payload.NotKey},
		{"H264", []byte{0x41, 1}, payload.NotKey},
		{"H264", []byte{28, 0x85, 0x88}, payload.LikelyKey},
		{"H264", []byte{28, 0x85, 0x08}, payload.NotKey},
		{"H264", []byte{28, 0x05, 0x88}, payload.NotKey},
		{"H264", []byte{28, 0x81, 1}, payload.NotKey},
		{"H264", []byte{24, 0, 2, 0x09, 1, 0, 2, 0x67, 1}, payload.SurelyKey},
		{"H264", []byte{24, 0, 2, 0x09, 1, 0xff, 0xff, 0x41}, payload.NotKey},
		{"H264", nil, payload.NotKey},
		{"VP8", []byte{0x10, 0x10}, payload.SurelyKey},
		{"VP8", []byte{0x10, 0x11}, payload.NotKey},
		{"VP8", []byte{0x00, 0x10}, payload.NotKey},
		{"VP8", nil, payload.NotKey},
		{"AV1", []byte{0x65, 1}, payload.NotKey},
	}
	for _, tt := range tests {
		if got := payload.KeyStart(tt.codec, tt.p); got != tt.want {
			t.Errorf("%s % x: %v, want %v", tt.codec, tt.p, got, tt.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	if _, err := payload.Packetize("AV1", nil, 0, 1100); err == nil {
		t.Error("a codec without payload format was packetized")
	}
	if _, err := payload.NewAssembler("AV1", nil); err == nil {
		t.Error("a codec without payload format got an assembler")
	}
	for _, codec := range []string{"H264", "VP8"} {
		if _, err := payload.Packetize(codec, annexB(nal(0x65, 9)), 1, 2); err == nil {
			t.Errorf("%s was cut into payloads of 2 bytes", codec)
		}
	}
}

// TestAssembleAllocates nothing once its buffers have grown: it runs for each
// packet of every sender.
func TestAssembleAllocates(t *testing.T) {
	for codec, unit := range map[string][]byte{
		"H264": annexB(nal(0x67, 12), nal(0x68, 4), nal(0x65, 5000)),
		"VP8":  nal(0x10, 5000),
	} {
		payloads, err := payload.Packetize(codec, unit, 1, 1100)
		if err != nil {
			t.Fatal(err)
		}
		a, err := payload.NewAssembler(codec, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() {
			for _, p := range payloads {
				if err := a.Add(p); err != nil {
					t.Fatal(err)
				}
			}
			a.Unit()
		}); n != 0 {
			t.Errorf("%s: %v allocations per picture, want 0", codec, n)
		}
	}
}

func assemble(t *testing.T, codec string, payloads [][]byte) []byte {
	t.Helper()
	a, err := payload.NewAssembler(codec, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range payloads {
		if err := a.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	return bytes.Clone(a.Unit())
}
