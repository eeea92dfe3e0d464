package sip

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/skybridge-media/skybridge/actors/watcher"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/port"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
)

// Config says where and how the service speaks SIP. The zero value listens for
// UDP and TCP on one free port of every address.
type Config struct {
	// Bind is the address of all listeners and of RTP. Invalid means all.
	Bind netip.Addr

	// Public is what the rest of the world knows this host by: the address in
	// Via, Contact and SDP. Invalid means the address that a peer reaches us
	// at. It is for hosts behind a static NAT.
	Public netip.Addr

	Port    int // for UDP and TCP; 0 picks a free one
	TLSPort int // for TLS; 0 picks a free one

	// TLS is for the TLS listener; nil means that there is none. The
	// certificate in it is also shown to servers that we call.
	TLS *tls.Config

	// DialTLS is for calls that we place over TLS. nil verifies the peer
	// against the system's roots.
	DialTLS *tls.Config

	// Crypto says what must be encrypted. Empty means [CryptoOptional].
	Crypto CryptoPolicy

	// SessionExpires is how long a session lives without a refresh, MinSE the
	// shortest time that we accept (RFC 4028). Zero means 1800 s and 90 s.
	SessionExpires, MinSE time.Duration

	// RingTimeout is how long a call that we place may ring. Zero means 2 min.
	RingTimeout time.Duration

	// Credentials answer digest challenges to calls that we place.
	Credentials []Credential

	// UserAgent is the name in the Server and User-Agent headers. Empty means
	// "Skybridge".
	UserAgent string

	Limits Limits
}

// CryptoPolicy says what must be encrypted.
type CryptoPolicy string

const (
	// CryptoOptional takes SRTP if it is offered, and offers it over TLS.
	CryptoOptional CryptoPolicy = "optional"
	// CryptoRequired refuses calls without SRTP.
	CryptoRequired CryptoPolicy = "required"
	// CryptoOff neither offers nor takes SRTP.
	CryptoOff CryptoPolicy = "off"
)

// A Credential answers challenges of one realm on one host, and of no other.
type Credential struct {
	Host     string // of the URI that we call, or of the proxy on the way
	Realm    string // as the challenge must name it
	Username string
	Password string
}

// Limits bound what strangers can make the service do. Zero means the default.
type Limits struct {
	Calls                int // at once; default 2000
	Connections          int // TCP and TLS, at once; default 4096
	ConnectionsPerSource int // of them from one address; default 256

	// MessagesPerSource is how many messages a second are taken from one
	// address over a time; the double of it in a burst. Default 1000.
	MessagesPerSource int

	Handshake time.Duration // for TLS; default 5 s
	Message   time.Duration // from first to last byte of a message; default 10 s
	Idle      time.Duration // of a connection without calls; default 5 min
	Write     time.Duration // for a stalled peer to take a message; default 5 s
	Dial      time.Duration // for a connection to be made; default 5 s
}

// Deps are the service's collaborators. All are required, except those that
// say what nil means.
type Deps struct {
	Log     *slog.Logger
	Metrics *Metrics // nil: unregistered

	System   *actor.ActorSystem
	Node     *actor.PID // of the node actor, which is asked to admit calls
	Watchers *watcher.Set

	// Media are the codecs and the picture that calls are offered. Its Crypto
	// is ignored: Config.Crypto decides, call by call.
	Media sdp.Capabilities

	Ports       *rtp.PortRange
	PortMetrics *port.Metrics   // nil: unregistered
	Workers     *bridge.Workers // decode video; nil: each call by itself
	RTPMetrics  *rtp.Metrics    // nil: unregistered

	Resolver Resolver // nil: the system's
}

func (c *Config) validate() error {
	def(&c.Crypto, CryptoOptional)
	def(&c.SessionExpires, 30*time.Minute)
	def(&c.MinSE, 90*time.Second)
	def(&c.RingTimeout, 2*time.Minute)
	def(&c.UserAgent, "Skybridge")
	def(&c.Limits.Calls, 2000)
	def(&c.Limits.Connections, 4096)
	def(&c.Limits.ConnectionsPerSource, 256)
	def(&c.Limits.MessagesPerSource, 1000)
	def(&c.Limits.Handshake, 5*time.Second)
	def(&c.Limits.Message, 10*time.Second)
	def(&c.Limits.Idle, 5*time.Minute)
	def(&c.Limits.Write, 5*time.Second)
	def(&c.Limits.Dial, 5*time.Second)

	switch {
	case c.Port < 0 || c.Port > 65535:
		return fmt.Errorf("sip: port %d: want 0 to 65535", c.Port)
	case c.TLSPort < 0 || c.TLSPort > 65535:
		return fmt.Errorf("sip: TLS port %d: want 0 to 65535", c.TLSPort)
	case c.Crypto != CryptoOptional && c.Crypto != CryptoRequired && c.Crypto != CryptoOff:
		return fmt.Errorf("sip: crypto policy %q: want optional, required or off", c.Crypto)
	case c.MinSE < 90*time.Second:
		return fmt.Errorf("sip: Min-SE %v: want 90s or more (RFC 4028 section 4)", c.MinSE)
	case c.SessionExpires < c.MinSE:
		return fmt.Errorf("sip: Session-Expires %v: want Min-SE (%v) or more", c.SessionExpires, c.MinSE)
	case c.Public.IsValid() && c.Public.IsUnspecified():
		return errors.New("sip: public address: want one that peers can reach")
	}
	return nil
}

// def gives *v a value if it has none.
func def[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}
