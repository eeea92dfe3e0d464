package conference

import (
	"net/url"
	"strings"
	"unicode"
)

// maxAliasBytes is the longest alias that can lead anywhere.
const maxAliasBytes = 128

// NormalizeAlias returns the form in which aliases are compared: the user part
// of a SIP URI, without scheme, host, parameters and escapes, in lower case. It
// returns "" for what cannot be an alias.
func NormalizeAlias(alias string) string {
	s := strings.TrimSpace(alias)
	if scheme, rest, ok := strings.Cut(s, ":"); ok {
		switch strings.ToLower(scheme) {
		case "sip", "sips", "tel", "h323":
			s = rest
		}
	}
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = s[:i]
	}
	if i := strings.IndexAny(s, ";?"); i >= 0 {
		s = s[:i] // RFC 3261, section 19.1.1: uri-parameters and headers
	}
	if plain, err := url.PathUnescape(s); err == nil {
		s = plain
	}
	s = strings.ToLower(strings.TrimSpace(s))
	if len(s) > maxAliasBytes || strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r) || r == unicode.ReplacementChar
	}) {
		return ""
	}
	return s
}
