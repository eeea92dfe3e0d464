package natsbus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/skybridge-media/skybridge/bus"
)

// ServiceName is the name of the micro service, and its queue group: any node
// answers.
const ServiceName = "skybridge"

const (
	maxRequest = 64 << 10 // bytes; what is longer is refused unread
	maxServing = 256      // requests at a time; the next ones are told to come later
)

// Service says what is served.
type Service struct {
	Version   string // of the commands, as in semantic versioning
	Node      string // name of this node
	Program   string // version of the program
	Endpoints []bus.Endpoint

	// Timeout is how long a command may take; the default is 4 s, which is less
	// than clients commonly wait.
	Timeout time.Duration
}

// status maps codes to the numbers that clients of NATS services expect, which
// are those of HTTP. TestStatusIsTotal keeps it complete.
var status = map[bus.Code]string{
	bus.Invalid:     "400",
	bus.Forbidden:   "403",
	bus.NotFound:    "404",
	bus.Conflict:    "409",
	bus.Internal:    "500",
	bus.Full:        "503",
	bus.Unavailable: "503",
}

// What is refused before anybody looks at it.
var (
	errLarge   = &bus.Error{Code: bus.Invalid, Text: fmt.Sprintf("body: more than %d bytes", maxRequest)}
	errBusy    = &bus.Error{Code: bus.Unavailable, Text: "too many commands at a time"}
	errTimeout = &bus.Error{Code: bus.Unavailable, Text: "no answer in time; the command may have been carried out"}
)

// service is the endpoints of one node while they are served.
type service struct {
	*Bus
	Service

	ctx   context.Context
	slots chan struct{}

	mu       sync.Mutex // guards stopping, and wg while it counts
	stopping bool       // nothing that comes now is carried out
	wg       sync.WaitGroup

	micro micro.Service
	stats map[string]*endpointStats // by endpoint name
}

// endpointStats is the data of an endpoint in what $SRV.STATS answers. Requests
// are answered from goroutines of their own, so what the library counts is only
// that they came.
type endpointStats struct{ answered, errors, active, nanoseconds atomic.Int64 }

// MarshalJSON implements [json.Marshaler].
func (s *endpointStats) MarshalJSON() ([]byte, error) {
	v := struct {
		Answered int64   `json:"answered"`
		Errors   int64   `json:"errors"`
		Active   int64   `json:"active"`
		Average  float64 `json:"average_seconds"`
	}{s.answered.Load(), s.errors.Load(), s.active.Load(), 0}
	if v.Answered > 0 {
		v.Average = time.Duration(s.nanoseconds.Load() / v.Answered).Seconds()
	}
	return json.Marshal(v)
}

// Serve answers commands until stop is called. stop lets go of what has not
// come yet, and waits for what has, until its ctx is done.
func (b *Bus) Serve(s Service) (stop func(ctx context.Context) error, err error) {
	s.Timeout = cmp.Or(s.Timeout, 4*time.Second)
	run, cancel := context.WithCancel(context.Background())
	v := &service{Bus: b, Service: s, ctx: run, slots: make(chan struct{}, maxServing), stats: map[string]*endpointStats{}}
	for _, e := range s.Endpoints {
		v.stats[e.Name] = &endpointStats{}
	}
	v.micro, err = micro.AddService(b.data, micro.Config{
		Name: ServiceName, Version: s.Version, QueueGroup: ServiceName,
		Description: "Commands of Skybridge, a conference bridge",
		Metadata:    map[string]string{"node": s.Node, "program_version": s.Program, "events": bus.AllEvents, "stream": Stream},
		StatsHandler: func(e *micro.Endpoint) any {
			return v.stats[e.Metadata["command"]]
		},
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("natsbus: serve: %w", err)
	}
	for _, e := range s.Endpoints {
		if err := v.add(e); err != nil {
			cancel()
			return nil, fmt.Errorf("natsbus: serve %s: %w", e.Name, errors.Join(err, v.micro.Stop()))
		}
	}
	if b.data.IsConnected() {
		// So that who has seen us start finds somebody. If NATS goes just now, it
		// hears of us when it is back.
		_ = b.data.FlushTimeout(2 * time.Second)
	}
	return func(ctx context.Context) error {
		defer cancel()
		err := v.micro.Stop() // which only begins to: what it has taken still comes
		v.mu.Lock()
		v.stopping = true
		v.mu.Unlock()
		done := make(chan struct{})
		go func() {
			v.wg.Wait()
			close(done)
		}()
		select {
		case <-done:
		case <-ctx.Done():
			cancel() // they end now, and say so
			<-done
		}
		if b.data.IsClosed() {
			return nil // it took the subscriptions along
		}
		return err
	}, nil
}

func (s *service) add(e bus.Endpoint) error {
	request, err := json.Marshal(bus.Schema(e.Request, true))
	if err != nil {
		return err
	}
	response, err := json.Marshal(bus.Schema(e.Response, false))
	if err != nil {
		return err
	}
	return s.micro.AddEndpoint(strings.ReplaceAll(e.Name, ".", "-"), micro.HandlerFunc(func(r micro.Request) { s.take(e, r) }),
		micro.WithEndpointSubject(e.Subject()),
		micro.WithEndpointMetadata(map[string]string{
			"command": e.Name, "description": e.Doc, "request_schema": string(request), "response_schema": string(response),
		}))
}

// take gives a request a goroutine: what one conference takes time for is not to
// hold up others.
func (s *service) take(e bus.Endpoint, r micro.Request) {
	s.cfg.Metrics.requests.WithLabelValues(e.Name).Inc()
	began := time.Now()
	select {
	case s.slots <- struct{}{}:
	default:
		s.answer(e, r, began, nil, errBusy)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		<-s.slots
		s.answer(e, r, began, nil, errBusy)
		return
	}
	s.cfg.Metrics.serving.Inc()
	s.stats[e.Name].active.Add(1)
	s.wg.Go(func() {
		defer func() {
			s.stats[e.Name].active.Add(-1)
			s.cfg.Metrics.serving.Dec()
			<-s.slots
		}()
		ctx, cancel := context.WithTimeout(s.ctx, s.Timeout)
		defer cancel()
		response, err := s.handle(ctx, e, r)
		s.answer(e, r, began, response, err)
	})
}

// handle returns the JSON of the response.
func (s *service) handle(ctx context.Context, e bus.Endpoint, r micro.Request) (json.RawMessage, error) {
	if len(r.Data()) > maxRequest {
		return nil, errLarge
	}
	carryOut := func() (json.RawMessage, error) {
		v, err := e.Handle(ctx, r.Data())
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, errTimeout
		case err != nil:
			return nil, err
		}
		return json.Marshal(v)
	}
	if id := r.Headers().Get(nats.MsgIdHdr); id != "" && !e.Reads {
		return s.once(ctx, e.Name, id, r.Data(), carryOut)
	}
	return carryOut()
}

func (s *service) answer(e bus.Endpoint, r micro.Request, began time.Time, response []byte, err error) {
	took, stats := time.Since(began), s.stats[e.Name]
	stats.answered.Add(1)
	stats.nanoseconds.Add(int64(took))
	s.cfg.Metrics.took.WithLabelValues(e.Name).Observe(took.Seconds())
	m := nats.NewMsg(r.Reply())
	m.Data = response
	if err != nil {
		said := shown(err)
		stats.errors.Add(1)
		s.cfg.Metrics.refused.WithLabelValues(e.Name, string(said.Code)).Inc()
		if said.Code == bus.Internal {
			s.cfg.Log.Error("command failed", "command", e.Name, "err", err)
		} else {
			s.cfg.Log.Debug("command refused", "command", e.Name, "err", err)
		}
		m.Data, _ = json.Marshal(said) // two strings
		m.Header.Set(micro.ErrorCodeHeader, status[said.Code])
		m.Header.Set(micro.ErrorHeader, headerText(said.Text))
	}
	if !answerable(m.Subject) {
		return
	}
	if err := s.data.PublishMsg(m); err != nil {
		s.cfg.Log.Debug("answer not sent", "command", e.Name, "err", err)
	}
}

// answerable reports whether an answer may go to a subject: anybody may name any
// as the one for the reply, and we may publish where they may not.
func answerable(reply string) bool {
	return reply != "" && !strings.HasPrefix(reply, "sky.") && !strings.HasPrefix(reply, "$") && !strings.HasPrefix(reply, bus.NodeInboxes)
}

// shown is an error as outsiders may see it.
func shown(err error) *bus.Error {
	if e, ok := errors.AsType[*bus.Error](err); ok && status[e.Code] != "" && e.Code != bus.Internal {
		return e
	}
	return &bus.Error{Code: bus.Internal, Text: "internal error"}
}

// headerText keeps a text from ending the header that it is put in.
func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
