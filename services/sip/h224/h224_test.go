package h224_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/services/sip/h224"
)

type marshaler interface{ Marshal() []byte }

var frames = []struct {
	name, wire string
	message    marshaler
}{
	{
		"start left", "00 71 03 0000 0000 01 c0 01 80 0a",
		&h224.Command{Action: h224.Start, Pan: h224.Back, Timeout: 500 * time.Millisecond},
	},
	{
		"start right, up, in, near", "00 71 03 0000 0000 01 c0 01 ff 00",
		&h224.Command{
			Action: h224.Start, Pan: h224.Forth, Tilt: h224.Forth, Zoom: h224.Forth, Focus: h224.Forth, Timeout: 800 * time.Millisecond,
		},
	},
	{"continue down, out", "00 71 03 0000 0000 01 c0 02 28", &h224.Command{Action: h224.Continue, Tilt: h224.Back, Zoom: h224.Back}},
	{"stop", "00 71 03 0000 0000 01 c0 03 80", &h224.Command{Action: h224.Stop, Pan: h224.Back}},
	{"client list", "00 71 03 0000 0000 00 c0 01 00 01 81", &h224.ClientList{}},
	{"capabilities", "00 71 03 0000 0000 00 c0 02 00 81 00 14 e0", &h224.Capabilities{}},
	{"who is there", "00 71 03 0000 0000 00 c0 01 ff", &h224.Query{}},
	{"what can it", "00 71 03 0000 0000 00 c0 02 ff 81", &h224.Query{Capabilities: true}},
}

func octets(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFrames(t *testing.T) {
	for _, tt := range frames {
		t.Run(tt.name, func(t *testing.T) {
			want := octets(t, tt.wire)
			if got := tt.message.Marshal(); !bytes.Equal(got, want) {
				t.Errorf("marshalled % x, want % x", got, want)
			}
			got, err := h224.Parse(want)
			if err != nil || !reflect.DeepEqual(got, tt.message) {
				t.Errorf("parsed %+v, want %+v, error %v", got, tt.message, err)
			}
		})
	}
}

func TestOtherFrames(t *testing.T) {
	for name, wire := range map[string]string{
		"a preset":                     "00 71 03 0000 0000 01 c0 07 10",
		"text":                         "00 71 03 0000 0000 02 c0 41",
		"a segment":                    "00 71 03 0000 0000 01 40 01 80 00",
		"a list without cameras":       "00 61 03 0000 0000 00 c0 01 00 02 02 03",
		"capabilities of another kind": "00 61 03 0000 0000 00 c0 02 00 82",
	} {
		if got, err := h224.Parse(octets(t, wire)); got != nil || !errors.Is(err, h224.ErrOther) {
			t.Errorf("%s: got %+v, error %v", name, got, err)
		}
	}
	for name, wire := range map[string]string{
		"nothing":           "",
		"only a header":     "00 71 03 0000 0000 01 c0",
		"another protocol":  "7e 71 03 0000 0000 01 c0 01 80 00",
		"no axes":           "00 71 03 0000 0000 01 c0 02",
		"no timeout":        "00 71 03 0000 0000 01 c0 01 80",
		"a list of nothing": "00 71 03 0000 0000 00 c0 01 00",
	} {
		if got, err := h224.Parse(octets(t, wire)); got != nil || err == nil || errors.Is(err, h224.ErrOther) {
			t.Errorf("%s: got %+v, error %v", name, got, err)
		}
	}
}

// A list that promises more clients than it has is read as far as it goes.
func TestShortList(t *testing.T) {
	if got, err := h224.Parse(octets(t, "00 61 03 0000 0000 00 c0 01 00 ff 02 81")); err != nil || !reflect.DeepEqual(got, &h224.ClientList{}) {
		t.Errorf("got %+v, error %v", got, err)
	}
}

func TestTimeout(t *testing.T) {
	for timeout, want := range map[time.Duration]byte{0: 0, time.Millisecond: 1, 51 * time.Millisecond: 2, 750 * time.Millisecond: 15, 800 * time.Millisecond: 0, time.Minute: 0} {
		b := (&h224.Command{Action: h224.Start, Timeout: timeout}).Marshal()
		if got := b[len(b)-1]; got != want {
			t.Errorf("%v: %d, want %d", timeout, got, want)
		}
	}
}

// FuzzParse: what is read can be written, and read again.
func FuzzParse(f *testing.F) {
	for _, tt := range frames {
		f.Add(octets(f, tt.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := h224.Parse(b)
		if (got == nil) != (err != nil) {
			t.Fatalf("got %+v, error %v", got, err)
		}
		if err != nil {
			return
		}
		again, err := h224.Parse(got.(marshaler).Marshal())
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%+v became %+v, error %v", got, again, err)
		}
	})
}
