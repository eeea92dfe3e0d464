package port

import "time"

const (
	// refreshPause is the least time between two requests to a source: what
	// arrives meanwhile may answer the first one.
	refreshPause = 500 * time.Millisecond

	// After so many requests without an answer the pause doubles each time, up
	// to the longest.
	refreshEager   = 6
	longestRefresh = 4 * time.Second
)

// A refresher says when to ask a source for a key frame: at once when it is
// needed, and again until it comes. Not safe for concurrent use.
type refresher struct {
	needed bool
	asked  int // times since it is needed
	last   time.Time
}

// need says that nothing can be decoded before a key frame.
func (r *refresher) need() {
	if !r.needed {
		r.needed, r.asked = true, 0
	}
}

// satisfied says that one has come.
func (r *refresher) satisfied() { r.needed = false }

// due reports whether to ask now, and takes it that this is done.
func (r *refresher) due(now time.Time) bool {
	if !r.needed || now.Sub(r.last) < r.pause() {
		return false
	}
	r.last = now
	r.asked++
	return true
}

func (r *refresher) pause() time.Duration {
	return min(refreshPause<<max(min(r.asked-refreshEager+1, 8), 0), longestRefresh)
}

// wait says that a key frame is on its way.
func (r *refresher) wait(now time.Time) { r.last = now }
