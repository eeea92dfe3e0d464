package bridge

import (
	"sync"

	"github.com/skybridge-media/skybridge/media/compose"
)

// An eye is one video stream of a leg with the bridge's state about it: what it
// sends, and what it sees.
type eye struct {
	Video

	// What follows is of the video goroutine.
	receives bool // it may be sent video, as spec says
	spec     VideoSpec
	view     *view
	group    *group

	wanted  [2]int // what WantVideo was told last
	told    bool   // whether it ever was
	picture *SharedPicture
	source  *compose.Source // the same, for painting

	// mu is held while a worker writes video, so that Detach can wait for it.
	mu       sync.Mutex
	gone     bool
	watching *group // the only one that may write
	synced   bool   // it has sent a key frame since
}

// leave returns when no worker writes to the eye, and none will.
func (e *eye) leave() {
	e.mu.Lock()
	e.gone = true
	e.mu.Unlock()
}

// watch makes g the only group that may write to the eye, from its next key
// frame on. nil is none.
func (e *eye) watch(g *group) {
	e.mu.Lock()
	e.watching, e.synced = g, false
	e.mu.Unlock()
}

// show writes a picture of g, unless the eye has moved on or would not be able
// to decode it.
func (e *eye) show(g *group, f *VideoFrame) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone || e.watching != g || !e.synced && !f.Key {
		return
	}
	e.synced = true
	e.WriteVideo(f)
}

// ask takes note of what the participant can receive, and reports whether that
// has changed.
func (e *eye) ask(held bool) (changed bool) {
	spec, ok := e.VideoOut()
	ok = ok && !held
	if ok == e.receives && (!ok || spec == e.spec) {
		return false
	}
	e.receives, e.spec = ok, spec
	return true
}

// want tells the stream at which size it is seen, when that changes.
func (e *eye) want(w, h int) {
	if size := [2]int{w, h}; size != e.wanted || !e.told {
		e.wanted, e.told = size, true
		e.WantVideo(w, h)
	}
}

// forget gives the picture back.
func (e *eye) forget() {
	if e.source != nil {
		e.source.Release()
		e.source, e.picture = nil, nil
	}
}

// leaveGroup ends sending to a stream that receives nothing any more.
func (e *eye) leaveGroup() {
	if e.group != nil {
		e.watch(nil)
	}
	e.view, e.group = nil, nil
}

// close makes the eye as it was before any video goroutine.
func (e *eye) close() {
	e.forget()
	e.leaveGroup()
	e.receives, e.spec, e.wanted, e.told = false, VideoSpec{}, [2]int{}, false
}
