package bus_test

import (
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/bus"
)

func TestSubject(t *testing.T) {
	tests := []struct {
		event bus.Event
		want  string
	}{
		{bus.ConferenceStarted{Room: "standup", Node: "eu-1"}, "sky.evt.conference.started.standup.eu-1"},
		{bus.ParticipantJoined{Room: "standup", Participant: "7f3a"}, "sky.evt.participant.joined.standup.7f3a"},
		{bus.ParticipantJoined{Room: "a.b>*", Participant: ""}, "sky.evt.participant.joined.a=2eb=3e=2a.="},
		{bus.SpeakerChanged{Room: "Café"}, "sky.evt.speaker.changed.=43af=c3=a9.="},
		{bus.NodeStarted{Node: "eu-1"}, "sky.evt.node.started.eu-1"},
		{bus.NodeLost{Node: "eu-1", Observer: "eu-2"}, "sky.evt.node.lost.eu-1.eu-2"},
	}
	for _, tt := range tests {
		if got := tt.event.Subject(); got != tt.want {
			t.Errorf("%#v.Subject() = %q, want %q", tt.event, got, tt.want)
		}
	}
}

// TestSubjectGrammar holds every event to the grammar that lets one wildcard
// follow a kind and another a room.
func TestSubjectGrammar(t *testing.T) {
	for _, e := range bus.Events() {
		tokens := strings.Split(e.Subject(), ".")
		switch {
		case len(tokens) < 5 || len(tokens) > 16 || tokens[0] != "sky" || tokens[1] != "evt":
			t.Errorf("%T: subject %s", e, e.Subject())
		case tokens[2] != "node" && len(tokens) < 6:
			t.Errorf("%T: %s is not matched by RoomEvents", e, e.Subject())
		case bus.KindOf(e) != tokens[2]+"."+tokens[3]:
			t.Errorf("%T: kind %s of %s", e, bus.KindOf(e), e.Subject())
		}
	}
}

func TestOtherSubjects(t *testing.T) {
	tests := []struct{ got, want string }{
		{bus.RoomEvents("A b"), "sky.evt.*.*.=41=20b.>"},
		{bus.KindEvents("participant.joined"), "sky.evt.participant.joined.>"},
		{bus.ActorSubject("n1", "x-1", "u"), "sky.a.n1.x-1.u"},
		{bus.ActorSubject("n1", "x-1", "n", "n.2", "y-1", "future$1"), "sky.a.n1.x-1.n.n=2e2.y-1.future=241"},
		{bus.HeartbeatSubject("n1", "x-1"), "sky.hb.n1.x-1"},
		{bus.ServerSubject("NABC"), "sky.srv.=4e=41=42=43"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}

func TestParseHeartbeatSubject(t *testing.T) {
	node, inc, ok := bus.ParseHeartbeatSubject(bus.HeartbeatSubject("Node 1", "x-1"))
	if node != "Node 1" || inc != "x-1" || !ok {
		t.Errorf("got %q, %q, %v", node, inc, ok)
	}
	for _, s := range []string{"", "sky.hb.n", "sky.hb.n.i.x", "sky.a.n.i", "other.hb.n.i", "sky.hb..i", "sky.hb.n=zz.i"} {
		if _, _, ok := bus.ParseHeartbeatSubject(s); ok {
			t.Errorf("%q was accepted", s)
		}
	}
}

func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "standup", "Standup 9.30", "=", "=41", "\x00\xff", "ünïcödé", "a*b>c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tok := bus.Token(s)
		if tok == "" || strings.ContainsFunc(tok, func(r rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_=", r)
		}) {
			t.Errorf("Token(%q) = %q is not a legal token", s, tok)
		}
		if back, ok := bus.Untoken(tok); back != s || !ok {
			t.Errorf("Untoken(Token(%q)) = %q, %v", s, back, ok)
		}
		if back, ok := bus.Untoken(s); ok && bus.Token(back) != s {
			t.Errorf("Untoken(%q) = %q, which has another token", s, back)
		}
	})
}
