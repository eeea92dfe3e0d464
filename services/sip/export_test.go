package sip

import (
	"crypto/tls"
	"net"

	"github.com/prometheus/client_golang/prometheus/testutil"
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
