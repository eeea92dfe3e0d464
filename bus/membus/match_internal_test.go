package membus

import "testing"

func TestMatch(t *testing.T) {
	tests := []struct {
		filter, subject string
		want            bool
	}{
		{"a.b", "a.b", true},
		{"a.b", "a.c", false},
		{"a.b", "a.b.c", false},
		{"a.b.c", "a.b", false},
		{"a.*", "a.b", true},
		{"a.*", "a.b.c", false},
		{"a.*.c", "a.b.c", true},
		{"a.>", "a.b.c", true},
		{"a.>", "a", false},
		{">", "a", true},
	}
	for _, tt := range tests {
		if got := match(tt.filter, tt.subject); got != tt.want {
			t.Errorf("match(%q, %q) = %v", tt.filter, tt.subject, got)
		}
	}
}
