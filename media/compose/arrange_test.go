package compose_test

import (
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/media/compose"
)

// scene is one moment of a conference whose participants are single letters.
type scene struct {
	members   string // in order of arrival
	speakers  string // who spoke, the latest first
	spotlight string
	viewer    string
	want      string // seat by seat
}

func (s scene) arrange(l *compose.Layout, before *compose.Arrangement) *compose.Arrangement {
	var ms []compose.Member
	for id := range strings.SplitSeq(s.members, "") {
		ms = append(ms, compose.Member{ID: id, Spotlight: strings.Contains(s.spotlight, id)})
	}
	return l.Arrange(ms, strings.Split(s.speakers, ""), s.viewer, before)
}

func seats(a *compose.Arrangement) string { return strings.Join(a.Seats, "") }

func TestArrange(t *testing.T) {
	tests := []struct {
		name   string
		layout string
		scenes []scene // one after the other
	}{
		{"empty", "1+7", []scene{{members: "", want: ""}, {members: "A", want: "A"}, {members: "", want: ""}}},
		{"arrival fills the seats", "2x2", []scene{
			{members: "A", want: "A"}, {members: "AB", want: "AB"}, {members: "ABCDE", want: "ABCD"},
		}},
		{"the speaker is large and changes places", "1+7", []scene{
			{members: "ABCD", want: "ABCD"},
			{members: "ABCD", speakers: "C", want: "CBAD"},
			{members: "ABCD", speakers: "DC", want: "DBAC"},
			{members: "ABCD", speakers: "CD", want: "CBAD"},
		}},
		{"speaking moves nobody where all are equal", "2x2", []scene{
			{members: "ABCD", want: "ABCD"},
			{members: "ABCD", speakers: "DBC", want: "ABCD"},
		}},
		{"who must be shown takes the seat of who came last and is silent", "2x2", []scene{
			{members: "ABCDEF", want: "ABCD"},
			{members: "ABCDEF", speakers: "E", want: "ABCE"},
			{members: "ABCDEF", speakers: "FE", want: "ABFE"},
			{members: "ABCDEF", speakers: "AFE", want: "ABFE"},
		}},
		{"a hidden speaker becomes large, the former one stays visible", "1+7", []scene{
			{members: "ABCDEFGHI", speakers: "A", want: "ABCDEFGH"},
			{members: "ABCDEFGHI", speakers: "IA", want: "IBCDEFGA"},
		}},
		{"who leaves is replaced by the last, nobody else moves", "2x2", []scene{
			{members: "ABCD", want: "ABCD"}, {members: "ACD", want: "ADC"}, {members: "ACDE", want: "ADCE"},
		}},
		{"who leaves a full layout is replaced by who waited", "2x2", []scene{
			{members: "ABCDE", want: "ABCD"}, {members: "ACDE", want: "AECD"},
		}},
		{"a large one who leaves", "1+7", []scene{
			{members: "ABC", speakers: "BA", want: "BAC"}, {members: "AC", speakers: "A", want: "AC"},
		}},
		{"the spotlight comes before speakers", "1+7", []scene{
			{members: "ABC", speakers: "A", spotlight: "C", want: "CAB"},
			{members: "ABC", speakers: "BA", spotlight: "C", want: "CAB"},
			{members: "ABC", speakers: "BA", want: "BAC"},
		}},
		{"nobody sees themself", "1+7", []scene{
			{members: "ABC", viewer: "A", want: "BC"},
			{members: "ABC", speakers: "A", viewer: "A", want: "BC"},
			{members: "ABC", speakers: "CA", viewer: "A", want: "CB"},
		}},
		{"one on one", "1+0", []scene{
			{members: "AB", speakers: "AB", viewer: "A", want: "B"},
			{members: "AB", speakers: "AB", viewer: "B", want: "A"},
		}},
		{"unknown speakers are ignored", "1+0", []scene{{members: "AB", speakers: "XB", want: "B"}}},
		{"adaptive keeps the order when it grows and shrinks", "adaptive", []scene{
			{members: "ABC", want: "ABC"},
			{members: "ABCD", want: "ABCD"},
			{members: "ACD", want: "ACD"},
			{members: "ACDE", want: "ACDE"},
		}},
		{"adaptive, full", "adaptive", []scene{
			{members: "ABCDEFGHIJKLMNOPQ", want: "ABCDEFGHIJKLMNOP"},
			{members: "ABCDEFGHIJKLMNOPQ", speakers: "Q", want: "ABCDEFGHIJKLMNOQ"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var before *compose.Arrangement
			for i, s := range tt.scenes {
				before = s.arrange(parse(t, tt.layout), before)
				if got := seats(before); got != s.want {
					t.Fatalf("scene %d: %q, want %q", i, got, s.want)
				}
			}
		})
	}
}

func TestLargeSeat(t *testing.T) {
	a := scene{members: "ABC", speakers: "B"}.arrange(parse(t, "1+7"), nil)
	if a.Main() != 0 || a.Seats[0] != "B" {
		t.Errorf("seat %d is large, of %v; want B's", a.Main(), a.Seats)
	}
	if got := (scene{members: "ABC", speakers: "B"}).arrange(parse(t, "2x2"), nil).Main(); got != -1 {
		t.Errorf("seat %d is large where all are alike", got)
	}
	if !a.Shows("C") || a.Shows("D") {
		t.Error("C is shown and D is not, the arrangement says otherwise")
	}
}

// Changing the layout must not depend on seats of the one before.
func TestLayoutSwitch(t *testing.T) {
	var before *compose.Arrangement
	for _, name := range append(compose.Layouts(), compose.Layouts()...) {
		l := parse(t, name)
		before = scene{members: "ABCDEFGHIJ", speakers: "JC"}.arrange(l, before)
		if want := min(10, l.Seats()); len(before.Seats) != want {
			t.Errorf("%s shows %d, want %d", name, len(before.Seats), want)
		}
		if !before.Shows("J") {
			t.Errorf("%s does not show who speaks", name)
		}
	}
}
