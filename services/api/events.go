package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/skybridge-media/skybridge/actors/participant"
)

// streamPatience is how long a client may take to accept an event.
const streamPatience = 10 * time.Second

// events serves the event stream of a seat (server-sent events). It begins
// with the whole state, so that a client which has lost its stream opens
// another one and has missed nothing; Last-Event-ID is of no use then.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	st, err := s.seated(r)
	if err == nil {
		err = st.openStream(s.cfg.Streams)
	}
	if err != nil {
		s.refuseStream(w, r, err)
		return
	}
	defer st.closeStream()
	s.deps.Metrics.streams.Inc()
	defer s.deps.Metrics.streams.Dec()
	s.deps.Metrics.requests.WithLabelValues("events").Inc()

	streams(w.Header())
	out := &stream{w: w, control: http.NewResponseController(w), metrics: s.deps.Metrics, self: string(st.id)}
	changed, cancel := st.room.subscribe()
	defer cancel()
	beat := time.NewTicker(s.cfg.Heartbeat)
	defer beat.Stop()

	heard := st.lastHeard()
	out.comment("welcome") // opens the stream at the client, before anything happens
	if v := st.room.view.Load(); v != nil {
		st.show(out, v)
	}
	heard = st.hear(out, heard)
	shown := time.Now()
	var later <-chan time.Time // nil: nothing waits to be shown
	for out.err == nil {
		select {
		case <-changed:
			heard = st.hear(out, heard)
			v := st.room.view.Load()
			if v == nil {
				continue // only a note, so far
			}
			if wait := pace(len(v.Participants)) - time.Since(shown); wait > 0 {
				if later == nil {
					later = time.After(wait)
				}
				continue
			}
			st.show(out, v)
			shown, later = time.Now(), nil
		case <-later:
			st.show(out, st.room.view.Load())
			shown, later = time.Now(), nil
		case <-beat.C:
			out.comment("beat")
		case <-st.done:
			out.event("disconnect", disconnectJSON{text(st.reason)})
			out.flush()
			return
		case <-r.Context().Done():
			return
		}
	}
}

func streams(h http.Header) {
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // for proxies that would hold events back
}

// refuseStream refuses an event stream. Scripts are not told by browsers why:
// those that have lost the stream of a seat that is gone would try again until
// they give up, and remain in a call that is over. So where events are asked for,
// the end of the seat is one.
func (s *Server) refuseStream(w http.ResponseWriter, r *http.Request, err error) {
	if !errors.Is(err, errToken) || !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		s.fail(w, r, err)
		return
	}
	s.note(r, errToken, err)
	streams(w.Header())
	// Browsers come again by themselves, if the script does not close the stream.
	_, _ = fmt.Fprintf(w, "retry: 60000\nevent: disconnect\ndata: %s\n\n", encode(disconnectJSON{text(participant.Reason{})}))
}

// pace is the time between two showings of a room of n, at least. Everybody in
// it is told of everybody, so a crowd is told less often: what happens meanwhile
// is told at once. Small rooms are told as it happens, which is ten times per
// second at most.
func pace(n int) time.Duration {
	const small, each, most = 50, 2 * time.Millisecond, time.Second
	if n <= small {
		return 0
	}
	return min(time.Duration(n)*each, most)
}

type disconnectJSON struct {
	Reason string `json:"reason"`
}

// text is a reason in the words that clients know.
func text(r participant.Reason) string {
	return cmp.Or(r.Text, map[string]string{
		"disconnected":     "Disconnected by another participant",
		"conference_ended": "Conference terminated by another participant",
		"media_lost":       "Media process disconnected",
		"node_stopping":    "Signaling node disconnected",
		"timeout":          "Timer expired awaiting token refresh",
	}[r.Code], "Call disconnected")
}

// show shows a view on a stream, or as much of it as those may know who wait.
func (st *seat) show(out *stream, v *view) {
	said, waits := v.says(), st.held
	if e := said.find(0, out.self); e != nil {
		waits = e.waits
	}
	if waits {
		said = said.only(out.self)
	}
	out.tell(said)
}

// hear tells of the notes after the one that was heard last, and returns the
// last one now. Once told on one stream, a note is not told again on one that
// is opened later.
func (st *seat) hear(out *stream, last uint64) uint64 {
	notes, now := st.room.since(last)
	if len(notes) == 0 {
		return now
	}
	v := st.room.view.Load()
	if v == nil {
		return last // who waits is not known yet
	}
	waits := st.waits(v)
	for i := range notes {
		n, id := &notes[i], string(st.id)
		if n.isFor(id) && (!waits || n.to != "") && !n.wasKeptFrom(id) {
			out.raw(notes[i].event, notes[i].data)
		}
	}
	out.flush()
	if out.err == nil {
		st.mu.Lock()
		st.heard = max(st.heard, now)
		st.mu.Unlock()
	}
	return now
}

func (st *seat) lastHeard() uint64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.heard
}

func (st *seat) openStream(limit int) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.ended:
		return errToken
	case st.streams >= limit:
		return errStreams
	}
	st.streams++
	return nil
}

func (st *seat) closeStream() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.streams--
}

// A stream writes events, and knows what it has shown.
type stream struct {
	w       io.Writer
	control *http.ResponseController
	metrics *Metrics
	self    string // participant
	buf     bytes.Buffer
	err     error

	shown     *saying // last; nil before the first
	role      string
	presenter []byte // nil: nobody else presents
}

// show tells what is different from what was shown before.
func (o *stream) show(v *view) {
	o.tell(v.says())
}

// tell is show of what is said.
func (o *stream) tell(now *saying) {
	was := o.shown
	first := was == nil
	if first {
		was = &saying{}
		// Clients parse the data before they look at the event; "null" is JSON.
		o.event("participant_sync_begin", nil)
	}
	for i := range now.participants {
		e := &now.participants[i]
		old := was.find(i, e.id)
		switch {
		case old == nil:
			o.raw("participant_create", e.data)
		case !bytes.Equal(old.data, e.data):
			o.raw("participant_update", e.data)
		}
		if e.id == o.self && o.role != e.role {
			if o.role != "" {
				o.event("refresh_token", nil) // the token says which role it is for
			}
			o.role = e.role
		}
	}
	for i := range was.participants {
		if id := was.participants[i].id; now.find(i, id) == nil {
			o.event("participant_delete", struct {
				UUID string `json:"uuid"`
			}{id})
		}
	}
	if first {
		o.event("participant_sync_end", nil)
	}
	o.differs("conference_update", was.conference, now.conference)
	o.differs("layout", was.layout, now.layout)
	o.differs("stage", was.stage, now.stage)
	o.present(now)
	o.shown = now
	o.flush()
}

// present tells who else presents. A client takes it as the end of its own
// presentation, so the one that presents is told nothing.
func (o *stream) present(now *saying) {
	presenter := now.presenter
	if now.presents == o.self {
		presenter = nil
	}
	switch {
	case presenter != nil:
		o.differs("presentation_start", o.presenter, presenter)
	case o.presenter != nil:
		o.event("presentation_stop", nil)
	}
	o.presenter = presenter
}

func (o *stream) differs(event string, was, now []byte) {
	if now != nil && !bytes.Equal(was, now) {
		o.raw(event, now)
	}
}

func (o *stream) event(name string, data any) { o.raw(name, encode(data)) }

func (o *stream) raw(name string, data []byte) {
	o.metrics.events.WithLabelValues(name).Inc()
	o.buf.WriteString("event: " + name + "\ndata: ")
	o.buf.Write(data)
	o.buf.WriteString("\n\n")
}

func (o *stream) comment(text string) {
	o.buf.WriteString(": " + text + "\n\n")
	o.flush()
}

// flush sends what was written, or notes that the client has gone.
func (o *stream) flush() {
	if o.err != nil || o.buf.Len() == 0 {
		return
	}
	// Not every ResponseWriter has deadlines; then a stuck client is the
	// server's matter. HTTP/2 ends a stream when one passes, written to or not.
	_ = o.control.SetWriteDeadline(time.Now().Add(streamPatience))
	if _, o.err = o.buf.WriteTo(o.w); o.err == nil {
		o.err = o.control.Flush()
	}
	_ = o.control.SetWriteDeadline(time.Time{})
}

// encode makes JSON of our own types, which cannot fail.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
