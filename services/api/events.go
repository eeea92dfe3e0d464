package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
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
		s.fail(w, r, err)
		return
	}
	defer st.closeStream()
	s.deps.Metrics.streams.Inc()
	defer s.deps.Metrics.streams.Dec()
	s.deps.Metrics.requests.WithLabelValues("events").Inc()

	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // for proxies that would hold events back
	out := &stream{w: w, control: http.NewResponseController(w), metrics: s.deps.Metrics, self: string(st.id)}
	changed, cancel := st.room.subscribe()
	defer cancel()
	beat := time.NewTicker(s.cfg.Heartbeat)
	defer beat.Stop()

	out.comment("welcome") // opens the stream at the client, before anything happens
	if v := st.room.view.Load(); v != nil {
		out.show(v)
	}
	for out.err == nil {
		select {
		case <-changed:
			out.show(st.room.view.Load())
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

	synced       bool
	participants map[string][]byte // as they were shown
	others       map[string][]byte // event name to data, likewise
	role         string
}

// show tells what is different from what was shown before.
func (o *stream) show(v *view) {
	if !o.synced {
		o.participants, o.others = map[string][]byte{}, map[string][]byte{}
		// Clients parse the data before they look at the event; "null" is JSON.
		o.event("participant_sync_begin", nil)
	}
	here := map[string]bool{}
	for _, p := range v.Participants {
		here[p.Id] = true
		data := encode(v.participant(p))
		old, known := o.participants[p.Id]
		switch {
		case !known:
			o.raw("participant_create", data)
		case !bytes.Equal(old, data):
			o.raw("participant_update", data)
		}
		o.participants[p.Id] = data
		if p.Id == o.self && o.role != p.Role {
			if o.role != "" {
				o.event("refresh_token", nil) // the token says which role it is for
			}
			o.role = p.Role
		}
	}
	for id := range o.participants {
		if !here[id] {
			delete(o.participants, id)
			o.event("participant_delete", struct {
				UUID string `json:"uuid"`
			}{id})
		}
	}
	if !o.synced {
		o.event("participant_sync_end", nil)
		o.synced = true
	}
	o.differs("conference_update", v.conference())
	o.differs("layout", v.layout())
	o.differs("stage", v.stageOrder())
	o.flush()
}

func (o *stream) differs(event string, data any) {
	b := encode(data)
	if !bytes.Equal(o.others[event], b) {
		o.others[event] = b
		o.raw(event, b)
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
