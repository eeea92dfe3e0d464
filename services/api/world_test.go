package api_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/watcher"
	"github.com/skybridge-media/skybridge/bus"
	"github.com/skybridge-media/skybridge/media/port"
	"github.com/skybridge-media/skybridge/services/api"
)

func TestMain(m *testing.M) {
	// protoactor's dead-letter throttle leaves a ticker behind for a second.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/asynkron/protoactor-go/actor.NewDeadLetter.NewThrottle.func4.1"))
}

// limit is for what takes milliseconds when it works.
const limit = 10 * time.Second

// A world is a Server and the actors that it talks to: a node with one room,
// "standup", and its conference. What they are told can be read.
type world struct {
	*testing.T
	System *actor.ActorSystem
	Server *api.Server
	media  *media

	node, conference *actor.PID

	mu       sync.Mutex      // guards what follows
	refuse   any             // what the node replies to Admit, if not nil
	as       string          // the role that the node lets in as, if not ""
	wait     string          // what those wait for whom it lets in
	full     bool            // the node has no room for more video
	leased   []*node.Reserve // what it has granted, and was told
	roster   *conference.Roster
	told     []any // what participants and the conference were told
	admitted []*node.Admit
	watching []*actor.PID
}

func newWorld(t *testing.T, change ...func(*api.Config)) *world {
	t.Helper()
	w := &world{T: t, System: actors.NewSystem(slog.New(slog.DiscardHandler), actors.NewMetrics(nil)), media: &media{}}
	w.roster = &conference.Roster{Room: "standup", Epoch: 1, Version: 1, Layout: "1+7", StartedUnixMs: 1_700_000_000_000}
	w.conference = w.spawn("conference", w.conferenceActor)
	w.roster.Conference = conference.AddressOf(w.conference)
	w.node = w.spawn("node", w.nodeActor)
	cfg := api.Config{Version: "test"}
	for _, f := range change {
		f(&cfg)
	}
	log := slog.New(slog.DiscardHandler)
	w.Server = api.New(cfg, api.Deps{
		Log: log, Metrics: api.NewMetrics(nil), Ports: port.NewMetrics(nil), System: w.System, Node: w.node, Media: w.media,
		Watchers: watcher.NewSet(watcher.Deps{Log: log, Metrics: actors.NewMetrics(nil), System: w.System, Node: w.node}),
	})
	t.Cleanup(func() {
		w.Server.Close()
		w.stop(w.node)
		w.stop(w.conference)
		w.System.Shutdown()
	})
	return w
}

func (w *world) stop(pid *actor.PID) {
	w.Helper()
	if err := actors.Stop(context.Background(), w.System, pid); err != nil {
		w.Error(err)
	}
}

func (w *world) spawn(name string, receive actor.ReceiveFunc) *actor.PID {
	w.Helper()
	pid, err := w.System.Root.SpawnNamed(actor.PropsFromFunc(receive, actors.Supervise()), name)
	if err != nil {
		w.Fatal(err)
	}
	return pid
}

// replies are what the node says to those who ask for other rooms.
var replies = map[string]any{
	"secret":    node.ErrPIN,
	"guests":    node.ErrHostPIN,
	"guessed":   node.ErrWrongPIN,
	"blocked":   node.ErrPINBlocked,
	"locked":    conference.Refuse(conference.ErrLocked),
	"full":      conference.ErrFull,
	"quiet":     conference.Refuse(conference.ErrNotLive),
	"busy":      node.ErrCapacity,
	"draining":  node.ErrDraining,
	"elsewhere": &node.Redirect{Node: "b", Contacts: node.Contacts{HTTPS: "https://b.example:8443"}},
}

func (w *world) nodeActor(c actor.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch m := c.Message().(type) {
	case *node.Admit:
		switch reply := replies[m.Alias]; {
		case w.refuse != nil:
			c.Respond(w.refuse)
		case m.Alias != "standup" && reply == nil:
			c.Respond(node.ErrNotFound)
		case reply != nil:
			c.Respond(reply)
		default:
			w.admitted = append(w.admitted, m)
			pid := c.Spawn(actor.PropsFromFunc(w.participantActor(m)))
			w.change(func(r *conference.Roster) {
				r.Participants = append(r.Participants, &conference.Participant{
					Id: string(m.Call), Name: m.Name, Protocol: m.Protocol, Role: cmp.Or(m.Role, w.as, "host"), Api: m.API,
					Waiting: w.wait, State: "connecting", JoinedUnixMs: 1_700_000_001_000, Address: conference.AddressOf(pid),
				})
			})
			c.Respond(&node.Admitted{Participant: pid, Conference: w.conference, Room: "standup", Role: cmp.Or(m.Role, w.as, "host"), Waiting: w.wait})
		}
	case *node.Authorize:
		w.told = append(w.told, m)
		if m.PIN == "wrong" {
			c.Respond(node.ErrWrongPIN)
			return
		}
		c.Respond(&node.Authorized{})
	case *node.Reserve:
		switch {
		case c.Sender() == nil:
			w.leased = append(w.leased, m)
		case w.full && (m.Video && !w.hasVideo(m.Call) || m.Content):
			c.Respond(node.ErrCapacity)
		default:
			w.leased = append(w.leased, m)
			c.Respond(&node.Reserved{})
		}
	case *node.Find:
		c.Respond(&node.Found{Room: "standup", Conference: w.conference, Here: true})
	case *node.Dial:
		w.told = append(w.told, m)
		c.Respond(&node.Dialing{Call: "dialled"})
	case *node.GetStatus:
		c.Respond(&node.Status{Node: "test", Draining: errors.Is(asError(w.refuse), node.ErrDraining)})
	}
}

func asError(v any) error { err, _ := v.(error); return err }

// participantActor stands for the actor of one call. Like it, it closes the port.
func (w *world) participantActor(admit *node.Admit) actor.ReceiveFunc {
	var media participant.Port
	return func(c actor.Context) {
		if m, ok := c.Message().(*participant.Connect); ok {
			media = m.Port
		}
		switch m := c.Message().(type) {
		case *actor.Stopping:
			if media != nil {
				media.Close()
			}
		case actor.AutoReceiveMessage, actor.SystemMessage:
		case *participant.Ended:
			w.mu.Lock()
			defer w.mu.Unlock()
			w.told = append(w.told, m)
			w.change(func(r *conference.Roster) {
				r.Participants = slices.DeleteFunc(r.Participants, func(p *conference.Participant) bool { return p.Id == string(admit.Call) })
			})
			c.Stop(c.Self())
		default:
			w.mu.Lock()
			defer w.mu.Unlock()
			w.told = append(w.told, m)
		}
	}
}

func (w *world) conferenceActor(c actor.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch m := c.Message().(type) {
	case actor.AutoReceiveMessage, actor.SystemMessage:
	case *conference.Subscribe:
		w.watching = append(w.watching, m.Subscriber.PID())
		c.Respond(w.roster)
	case *conference.Unsubscribe:
		w.watching = slices.DeleteFunc(w.watching, func(p *actor.PID) bool { return p.Equal(m.Subscriber.PID()) })
	default:
		w.told = append(w.told, m)
		if d, ok := m.(*conference.Disconnect); ok && d.Id == "nobody" {
			c.Respond(conference.Refuse(conference.ErrNobody))
			return
		}
		if d, ok := m.(*conference.TakeFloor); ok && w.roster.Presenter != "" && d.Id != w.roster.Presenter && !d.Force {
			c.Respond(conference.Refuse(conference.ErrFloor))
			return
		}
		c.Respond(&conference.Done{})
	}
}

// change makes the next roster. Callers hold mu.
func (w *world) change(f func(*conference.Roster)) {
	w.roster = proto.CloneOf(w.roster)
	f(w.roster)
	w.roster.Version++
	for _, pid := range w.watching {
		w.System.Root.Send(pid, w.roster)
	}
}

func (w *world) update(f func(*conference.Roster)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.change(f)
}

// hasVideo reports whether a call has leased for video. Callers hold mu.
func (w *world) hasVideo(call participant.ID) (has bool) {
	for _, m := range w.leased {
		if m.Call == call {
			has = m.Video
		}
	}
	return has
}

// fill leaves no room on the node, or makes some.
func (w *world) fill(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.full = on
}

// take returns what the actors were told since last asked.
func (w *world) take() []any {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := w.told
	w.told = nil
	return told
}

// peek returns what the actors were told, and leaves it there.
func (w *world) peek() []any {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told)
}

// await waits until the actors were told a T, and returns it.
func await[T any](w *world) (found T) {
	w.Helper()
	w.eventually("a message to an actor", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, m := range w.told {
			if m, ok := m.(T); ok {
				found = m
				w.told = slices.Delete(w.told, i, i+1)
				return true
			}
		}
		return false
	})
	return found
}

func (w *world) eventually(what string, ok func() bool) {
	w.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !ok(); <-tick.C {
		if time.Now().After(end) {
			w.Fatalf("gave up waiting for %s", what)
		}
	}
}

// An answer is what a client gets.
type answer struct {
	Code   int
	Header http.Header
	Body   string

	Status    string
	Result    any
	Reason    string
	Alternate string
}

// do sends a request. header holds pairs.
func (w *world) do(method, path, body string, header ...string) answer {
	w.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.Server.ServeHTTP(rec, r)
	a := answer{Code: rec.Code, Header: rec.Header(), Body: rec.Body.String()}
	if rec.Header().Get("Content-Type") == "application/json" {
		d := json.NewDecoder(bytes.NewReader(rec.Body.Bytes()))
		if err := d.Decode(&a); err != nil {
			w.Errorf("%s %s: body %q: %v", method, path, a.Body, err)
		}
	}
	return a
}

// A client is one that has a token.
type client struct {
	*world
	id, token string
}

const root = "/api/client/v2/conferences/standup/"

func (w *world) join(name string) *client {
	w.Helper()
	a := w.do("POST", root+"request_token", `{"display_name":"`+name+`"}`)
	if a.Code != http.StatusOK {
		w.Fatalf("request_token: %d %s", a.Code, a.Body)
	}
	r := a.Result.(map[string]any)
	return &client{w, r["participant_uuid"].(string), r["token"].(string)}
}

func (c *client) post(path, body string) answer {
	c.Helper()
	return c.do("POST", root+path, body, "token", c.token)
}

func (c *client) get(path string) answer {
	c.Helper()
	return c.do("GET", root+path, "", "token", c.token)
}

// me is the path of the client's own participant.
func (c *client) me(path string) string { return "participants/" + c.id + "/" + path }

// media answers any offer that begins with "v=0", and lets tests play the peer.
type media struct {
	mu    sync.Mutex // guards calls
	calls []*fakeCall
}

type fakeCall struct {
	api.Offer
	mu         sync.Mutex // guards what follows
	offers     []string
	candidates []string
	video      bool
	slides     bool // what is presented has a stream, and room
	closed     bool
}

func (m *media) Inspect(sdp string) (bool, bool, error) {
	if !strings.HasPrefix(sdp, "v=0") {
		return false, false, errMalformed
	}
	if strings.Contains(sdp, "AMR") {
		return false, false, api.ErrNoCodec
	}
	return !strings.Contains(sdp, "no audio"), strings.Contains(sdp, "m=video"), nil
}

func (m *media) InspectPublisher(sdp string) (bool, bool, error) {
	if strings.Contains(sdp, "recvonly") {
		return false, false, errMalformed
	}
	return m.Inspect(sdp)
}

func (m *media) InspectViewer(sdp string) (bool, bool, error) {
	if strings.Contains(sdp, "sendonly") {
		return false, false, errMalformed
	}
	return m.Inspect(sdp)
}

func (m *media) Answer(_ context.Context, o api.Offer) (api.Call, error) {
	if strings.Contains(o.SDP, "UNANSWERABLE") {
		return nil, errMalformed
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &fakeCall{Offer: o, offers: []string{o.SDP}, video: strings.Contains(o.SDP, "m=video")}
	m.calls = append(m.calls, c)
	return c, nil
}

// last returns the newest call.
func (m *media) last(t testing.TB) *fakeCall {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.calls) == 0 {
		t.Fatal("no call")
	}
	return m.calls[len(m.calls)-1]
}

func (c *fakeCall) SDP() string { return "v=0 answer" }

func (c *fakeCall) Media() (bool, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return true, c.video
}

func (c *fakeCall) Slides() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Content != nil && strings.Contains(c.offers[len(c.offers)-1], "slides")
}

func (c *fakeCall) Update(ctx context.Context, sdp string, withVideo, withSlides bool) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !strings.HasPrefix(sdp, "v=0") {
		return "", errMalformed
	}
	if strings.Contains(sdp, "UNANSWERABLE") {
		return "", errMalformed
	}
	if c.Content != nil && withSlides {
		c.slides = c.Content(ctx, strings.Contains(sdp, "slides"))
	}
	c.offers, c.video = append(c.offers, sdp), withVideo && strings.Contains(sdp, "m=video")
	return "v=0 updated", nil
}

func (c *fakeCall) AddCandidate(candidate, ufrag string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.candidates = append(c.candidates, candidate+"/"+ufrag)
	return nil
}

func (c *fakeCall) Trickle(fragment string) error { return c.AddCandidate(fragment, "") }

func (c *fakeCall) Restart(_ context.Context, fragment string) (string, error) {
	if fragment == "" {
		return "", errMalformed
	}
	return "a=ice-ufrag:new", nil
}

func (c *fakeCall) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

func (c *fakeCall) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

var errMalformed = &bus.Error{Code: bus.Invalid, Text: "webrtc: sdp: broken"}
