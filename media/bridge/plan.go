package bridge

// A Plan is the complete desired state of a bridge. It is immutable once given
// to [Bridge.Apply]; a later one replaces it as a whole.
type Plan struct {
	Layout   string // a name that compose.Parse knows, such as "1+7" or "adaptive"
	SelfView bool   // true: everybody sees everybody, themselves included, and shares one view

	// Presenter is the id of who presents; empty: nobody does. What the content
	// stream of its leg carries is shown, that of any other is not looked at.
	Presenter string

	// Members in order of arrival, which breaks ties between equal claims to
	// a tile. Legs that are attached but not listed are neither heard nor seen,
	// and held as they were when they were listed last.
	Members []Member
}

// A Member is what the bridge must know of a participant, attached here or not.
type Member struct {
	ID         string
	Name       string // the label of its tile, UTF-8
	AudioMuted bool   // not heard
	VideoMuted bool   // shown as a tile with its name only
	Held       bool   // on hold: neither heard nor seen, and sent nothing
	Spotlight  bool   // takes a large tile before any speaker does
	NoTile     bool   // sends no picture and gets no tile either (audio-only callers keep a tile: false)
}

// Events that [Config].Notify receives. Each is conflated: only the newest of
// its kind per participant counts.
type (
	// SpeakerChanged says who speaks now, after hysteresis. Empty: nobody.
	SpeakerChanged struct{ ID string }

	// TickLate counts audio ticks that began more than 5 ms late since the last report.
	TickLate struct{ Ticks int }
)
