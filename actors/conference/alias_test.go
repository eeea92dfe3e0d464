package conference_test

import (
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/actors/conference"
)

func TestNormalizeAlias(t *testing.T) {
	tests := []struct{ alias, want string }{
		{"standup", "standup"},
		{"  StandUp ", "standup"},
		{"sip:standup@example.com", "standup"},
		{"SIPS:StandUp@[::1]:5061;transport=tls", "standup"},
		{"sip:standup;ext=1@example.com?subject=x", "standup"},
		{"sip:stand%2Dup@example.com", "stand-up"},
		{"sip:a@b@example.com", "a@b"},
		{"tel:+49-30-123", "+49-30-123"},
		{"Größe", "größe"},
		{"room: one", "room: one"},
		{"100%", "100%"},
		{"", ""},
		{"sip:@example.com", ""},
		{"a\x00b", ""},
		{"a\nb", ""},
		{"\xff", ""},
		{strings.Repeat("x", 129), ""},
	}
	for _, tt := range tests {
		if got := conference.NormalizeAlias(tt.alias); got != tt.want {
			t.Errorf("NormalizeAlias(%q) = %q, want %q", tt.alias, got, tt.want)
		}
	}
}

// FuzzNormalizeAlias checks what everybody who compares aliases relies on:
// normalizing is done once, and its result is safe to show.
func FuzzNormalizeAlias(f *testing.F) {
	for _, s := range []string{"standup", "sip:A@b;c?d", "%41%2541", "sip:sip:x", "ſ", "İ", "a;b@c", " %20x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, alias string) {
		got := conference.NormalizeAlias(alias)
		if len(got) > 128 || strings.ContainsAny(got, "\r\n\x00") {
			t.Errorf("NormalizeAlias(%q) = %q", alias, got)
		}
		if again := conference.NormalizeAlias(got); strings.ContainsAny(got, ":%@;?") || again == got {
			return
		}
		t.Errorf("NormalizeAlias(%q) = %q, and of that %q", alias, got, conference.NormalizeAlias(got))
	})
}
