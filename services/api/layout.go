package api

// layouts maps our layouts to the names that clients of this API have for
// them: full-motion tiles, a colon, small ones; "ac" is adaptive composition.
// TestLayoutsAreTotal keeps it complete.
var layouts = map[string]string{
	"1+0":      "1:0",
	"1+7":      "1:7",
	"2x2":      "4:0",
	"3x3":      "9:0",
	"4x4":      "16:0",
	"adaptive": "ac",
}

// toLayout returns our name for a layout, which may be given by that itself;
// false if there is no such layout.
func toLayout(name string) (string, bool) {
	if _, ok := layouts[name]; ok {
		return name, true
	}
	for ours, theirs := range layouts {
		if theirs == name {
			return ours, true
		}
	}
	return "", false
}

// fromLayout returns the clients' name for one of ours.
func fromLayout(name string) string {
	if theirs, ok := layouts[name]; ok {
		return theirs
	}
	return name
}
