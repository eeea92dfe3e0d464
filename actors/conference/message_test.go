package conference_test

import (
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/bus"
)

func TestValidMessage(t *testing.T) {
	tests := []struct{ kind, payload, want string }{
		{"text/plain", "hello", ""},
		{"text/plain;charset=utf-8", strings.Repeat("x", 8192), ""},
		{"application/json", `{"a":1}`, ""},
		{"text/plain", "", "text: is required"},
		{"text/plain", strings.Repeat("x", 8193), "text: longer than 8192 bytes"},
		{"application/json", "{", "text: not JSON, as type says"},
		{"image/png", "x", "type: want text/plain or application/json"},
		{"", "x", "type: want text/plain or application/json"},
		{"text/plain;" + strings.Repeat("x", 100), "x", "type: want text/plain or application/json"},
	}
	for _, tt := range tests {
		err := conference.ValidMessage(tt.kind, "text", tt.payload)
		if tt.want == "" && err != nil {
			t.Errorf("%q of %d bytes: %v", tt.kind, len(tt.payload), err)
		}
		if tt.want != "" && (err == nil || err.Error() != tt.want || bus.CodeOf(err) != bus.Invalid) {
			t.Errorf("%q of %d bytes: got %v, want %s", tt.kind, len(tt.payload), err, tt.want)
		}
	}
}
