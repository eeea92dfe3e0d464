package sip

import (
	"crypto/tls"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/emiago/sipgo/sip"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/media/rtp"
)

// ServeOn starts the service on a listener of the test's, such as one in
// memory, where fake time can pass.
func (s *Server) ServeOn(l net.Listener, config *tls.Config) {
	s.tcp = l
	s.transport.serveStreams(l, config)
}

// Calls is the number of calls that exist.
func (s *Server) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// Remembered is how many entries the service keeps in all its tables.
func (s *Server) Remembered() map[string]int {
	s.mu.Lock()
	sizes := map[string]int{"calls": len(s.calls), "dialogs": len(s.dialogs), "invites": len(s.invites)}
	s.mu.Unlock()
	s.tx.mu.Lock()
	sizes["server transactions"], sizes["client transactions"] = len(s.tx.server), len(s.tx.client)
	s.tx.mu.Unlock()
	s.transport.mu.Lock()
	sizes["streams"], sizes["sources"], sizes["dialled"] = len(s.transport.streams), len(s.transport.perSource), len(s.transport.dialled)
	s.transport.mu.Unlock()
	return sizes
}

// Panics is how often a panic was contained.
func (m *Metrics) Panics() int { return int(testutil.ToFloat64(m.panics)) }

// Dropped is how much was dropped for a reason.
func (m *Metrics) Dropped(reason string) int {
	return int(testutil.ToFloat64(m.dropped.WithLabelValues(reason)))
}

// Session is what RTP sessions of tests implement.
type Session = session

// UseRTP replaces the RTP sockets.
func (s *Server) UseRTP(listen func() (Session, error)) {
	s.listenRTP = func(rtp.Config) (session, error) { return listen() }
}

// AskKeyFrames does for every call what its port does when it wants a key frame
// and RTCP cannot ask for it.
func (s *Server) AskKeyFrames() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.calls {
		c.media.keyFrame()
	}
}

// Stall keeps all calls busy until resume is called. waiting is how much waits
// for them meanwhile.
func (s *Server) Stall() (waiting func() int, resume func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := make(chan struct{})
	var boxes []*mailbox
	for c := range s.calls {
		busy := make(chan struct{})
		c.inbox.post(func() {
			close(busy)
			<-end
		})
		<-busy
		boxes = append(boxes, c.inbox)
	}
	return func() (n int) {
		for _, m := range boxes {
			m.mu.Lock()
			n += len(m.queue)
			m.mu.Unlock()
		}
		return n
	}, func() { close(end) }
}

// CamerasSee reports whether every call that controls cameras knows of r, or of
// what came after it.
func (s *Server) CamerasSee(r *conference.Roster) bool {
	s.mu.Lock()
	calls := slices.Collect(maps.Keys(s.calls))
	s.mu.Unlock()
	for _, c := range calls {
		sees := make(chan bool, 1)
		if c.inbox.post(func() {
			sees <- c.camera == nil || c.camera.seen != nil && !r.Supersedes(c.camera.seen)
		}) && !<-sees {
			return false
		}
	}
	return true
}

// Adopt lets calls to an address go over a connection that came from there.
func (s *Server) Adopt(from netip.AddrPort) {
	s.transport.mu.Lock()
	defer s.transport.mu.Unlock()
	for stream := range s.transport.streams {
		if stream.remote == from {
			s.transport.dialled[streamKey{proto: "TCP", to: from}] = stream
		}
	}
}

// PanicOn makes the handling of requests of a method panic.
func (s *Server) PanicOn(method string) {
	s.transport.deliver = func(m sip.Message, f flow) {
		if r, ok := m.(*sip.Request); ok && string(r.Method) == method {
			panic("a test wanted this")
		}
		s.deliver(m, f)
	}
}
