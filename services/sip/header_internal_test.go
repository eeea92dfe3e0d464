package sip

import (
	"strings"
	"testing"
)

func TestParseNameAddr(t *testing.T) {
	tests := []struct{ in, want, display, tag string }{
		{`sip:a@b`, `<sip:a@b>`, "", ""},
		{`sip:a@b;tag=x;y`, `<sip:a@b>;tag=x;y`, "", "x"},
		{`<sip:a@b;transport=tcp>;TAG=x`, `<sip:a@b;transport=tcp>;tag=x`, "", "x"},
		{`Bob Smith <sip:a@b>`, `"Bob Smith" <sip:a@b>`, "Bob Smith", ""},
		{`"Bob \"B\" <x>" <sip:a@b>;tag=x`, `"Bob \"B\" <x>" <sip:a@b>;tag=x`, `Bob "B" <x>`, "x"},
		{`"" <sip:a@b>`, `<sip:a@b>`, "", ""},
		{"\"J\u00fcrgen\"<sips:a@[2001:db8::1]:5061>", "\"J\u00fcrgen\" <sips:a@[2001:db8::1]:5061>", "J\u00fcrgen", ""},
		{`<tel:+1-201-555-0123>;tag=x`, `<tel:+1-201-555-0123>;tag=x`, "", "x"},
		{`<sip:a@b> ; tag = x ;; other="a;b"`, `<sip:a@b>;tag=x;other="a;b"`, "", "x"},
	}
	for _, tt := range tests {
		n, err := parseNameAddr(tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if n.String() != tt.want || n.display != tt.display || n.tag() != tt.tag {
			t.Errorf("%s became %s, display %q, tag %q", tt.in, n.String(), n.display, n.tag())
		}
	}
	for _, in := range []string{
		"", "<>", "<sip:a@b", "sip:a@b>", `"x`, `"x" sip:a@b`, "a, b <sip:a@b>", "< sip:a@b>", "<sip:a b@c>", "<sip:a@b>x", "<sip:>",
		"<sip:a@b:70000>", "<sip:a@b:-1>", "nonsense",
	} {
		if n, err := parseNameAddr(in); err == nil {
			t.Errorf("%s became %s", in, n.String())
		}
	}
}

func TestSplit(t *testing.T) {
	tests := []struct{ in, want string }{
		{`a, b`, "a|b"}, {`<sip:a,b@c>;x=",\"", <d>`, `<sip:a,b@c>;x=",\""|<d>`}, {"", ""}, {",", "|"}, {`"a`, `"a`},
	}
	for _, tt := range tests {
		if got := strings.Join(split(tt.in, ','), "|"); got != tt.want {
			t.Errorf("%s became %s, want %s", tt.in, got, tt.want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"Bob": "Bob", " B\x00o\r\nb ": "Bob", "\xff\xfeBob": "Bob", "日本語テキスト": "日本語テ", "x\u202ey": "xy",
	} {
		if got := printable(in, 12); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestEscapeUser(t *testing.T) {
	for _, user := range []string{"room", "a b", "50%", "café", "x@y:z", "<>\"", "", "a;b"} {
		if got := unescapeUser(escapeUser(user)); got != user {
			t.Errorf("%q became %q", user, got)
		}
		if user == "" {
			continue
		}
		if u, err := parseURI("sip:" + escapeUser(user) + "@host"); err != nil || u.Host != "host" || unescapeUser(u.User) != user {
			t.Errorf("%q in a URI is user %q of %q, %v", user, u.User, u.Host, err)
		}
	}
	if got := unescapeUser("100%zz%4"); got != "100%zz%4" {
		t.Errorf("bad escapes became %q", got)
	}
}
