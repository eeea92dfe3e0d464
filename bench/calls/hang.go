package calls

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"syscall"

	"github.com/skybridge-media/skybridge/bench/client"
)

// A NATS is a server for the bus in a process of its own.
type NATS struct {
	URL  string
	PID  int
	Stop func()
}

// hang is everything beside the media that a server depends on, and how it
// stops answering: NATS is frozen, nobody reads the log, and a browser keeps its
// event stream open without reading it.
type hang struct {
	nats    *NATS
	log     *os.File // what the server writes to
	unread  *os.File // the other end
	client  net.Conn
	stopped bool
}

// newHang starts what is going to hang.
func newHang(ctx context.Context, deps Deps) (*hang, error) {
	h := &hang{}
	var err error
	if h.unread, h.log, err = os.Pipe(); err != nil {
		return nil, err
	}
	if h.nats, err = deps.StartNATS(ctx); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// serve is how a server is started that depends on it.
func (h *hang) serve() []string { return []string{"--nats", h.nats.URL, "--log", "debug"} }

// attach opens the event stream of a room that has calls, as a browser does.
func (h *hang) attach(ctx context.Context, s *Server, room string) error {
	browser := client.NewHTTP()
	defer browser.CloseIdleConnections()
	seat, err := client.Join(ctx, browser, s.Web, room, "sleeper")
	if err != nil {
		return fmt.Errorf("calls: a browser was not let in: %w", err)
	}
	events, err := url.Parse(seat.Events())
	if err != nil {
		return err
	}
	// The server under test made its certificate itself.
	if h.client, err = tls.Dial("tcp", events.Host, &tls.Config{InsecureSkipVerify: true}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(h.client, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", events.RequestURI(), events.Host)
	return err
}

// begin freezes NATS. The log and the browser have hung from the beginning.
func (h *hang) begin() error {
	h.stopped = true
	return syscall.Kill(h.nats.PID, syscall.SIGSTOP)
}

// end thaws it.
func (h *hang) end() error {
	if !h.stopped {
		return nil
	}
	h.stopped = false
	return syscall.Kill(h.nats.PID, syscall.SIGCONT)
}

func (h *hang) close() {
	_ = h.end() // it may have ended
	if h.client != nil {
		_ = h.client.Close()
	}
	if h.nats != nil {
		h.nats.Stop()
	}
	_ = h.log.Close()
	_ = h.unread.Close()
}
