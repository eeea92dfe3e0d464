package sip

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/media/port"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
)

// maxPayload is the most RTP payload in a packet: with all headers, SRTP and a
// tunnel it fits the Ethernet frame.
const maxPayload = 1200

// A session is the sockets of one stream. [rtp.Session] implements it.
type session interface {
	rtp.BatchWriter
	Start(rtp.Handler)
	SetRemote(rtp.Remote) error
	Port() int
	RTCPPort() int
	Close() error
}

// media is what a call talks with: what was agreed on, the sockets and the
// port. It belongs to the call's goroutine, except for Close of the leg that
// was handed out.
type media struct {
	log      *slog.Logger
	listen   func() (session, error)
	ports    *rtp.PortRange // of floor control
	bind     netip.Addr
	address  netip.Addr // where peers reach us
	peer     netip.Addr // where the peer's signalling comes from, or goes to
	config   port.Config
	keyFrame func() // asks the peer for a key frame by signalling
	camera   func(frame []byte)

	cname  string
	offer  *sdp.Offer     // ours, not answered yet
	agreed *sdp.Agreement // nil until both sides have spoken

	once sync.Once // see close

	mu     sync.Mutex // guards what follows: a participant may end while the call changes
	closed bool
	port   *port.Port // nil until started
	lines  map[sdp.Kind]*line
	floor  *floorSocket // nil: none
	expiry *time.Timer  // see abandon
}

// A line is the sockets behind one m-line.
type line struct {
	session
	ssrc    uint32
	started bool
}

var errMediaClosed = errors.New("sip: media closed")

// open binds sockets for the kinds that have none. On an error nothing that it
// opened remains.
func (m *media) open(kinds ...sdp.Kind) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errMediaClosed
	}
	var opened []sdp.Kind
	for _, k := range kinds {
		if m.lines[k] != nil {
			continue
		}
		s, err := m.listen()
		if err != nil {
			for _, k := range opened {
				_ = m.lines[k].Close()
				delete(m.lines, k)
			}
			return fmt.Errorf("open %v: %w", k, err)
		}
		m.lines[k] = &line{session: s, ssrc: newSSRC()}
		opened = append(opened, k)
	}
	return nil
}

// openAgreed opens what a wants, and returns a, without its floor control if
// there can be none, and without cameras and slides if there are no ports for
// them.
func (m *media) openAgreed(a *sdp.Agreement) (*sdp.Agreement, error) {
	err := m.openStreams(a)
	for _, k := range []sdp.Kind{sdp.Camera, sdp.Slides} {
		if errors.Is(err, rtp.ErrNoPorts) && (k == sdp.Camera && a.Camera != nil || a.Stream(k) != nil) {
			m.log.Warn("no ports", "for", k)
			a = a.Without(k)
			err = m.openStreams(a)
		}
	}
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errMediaClosed
	}
	if err := m.openFloorSocket(a); err != nil {
		m.log.Warn("no floor control", "err", err)
		return a.WithoutFloor(), nil
	}
	return a, nil
}

func (m *media) openStreams(a *sdp.Agreement) error {
	var kinds []sdp.Kind
	for i := range a.Streams {
		kinds = append(kinds, a.Streams[i].Kind)
	}
	if a.Camera != nil {
		kinds = append(kinds, sdp.Camera)
	}
	return m.open(kinds...)
}

// local is our side of the transport, for a description.
func (m *media) local() sdp.Local {
	m.mu.Lock()
	defer m.mu.Unlock()
	return sdp.Local{
		Address: m.address, Audio: m.endpoint(sdp.Audio), Video: m.endpoint(sdp.Video), Slides: m.endpoint(sdp.Slides),
		Camera: m.endpoint(sdp.Camera), Floor: sdp.Endpoint{Port: m.floor.port()},
	}
}

func (m *media) endpoint(k sdp.Kind) sdp.Endpoint {
	l := m.lines[k]
	if l == nil {
		return sdp.Endpoint{}
	}
	return sdp.Endpoint{Port: l.Port(), RTCPPort: l.RTCPPort(), SSRC: l.ssrc, CNAME: m.cname}
}

// start makes the port and lets media flow as agreed. The leg that it returns
// owns all of it: whoever gets the leg closes it.
func (m *media) start() (*leg, error) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil, errMediaClosed
	}
	m.port = port.New(m.config)
	m.mu.Unlock()
	if err := m.apply(m.agreed); err != nil {
		return nil, err
	}
	return &leg{Port: m.port, media: m}, nil
}

// apply makes a the state of the media. Lines that it does not want are closed.
// Before start it only keeps a.
func (m *media) apply(a *sdp.Agreement) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errMediaClosed
	}
	m.agreed = a
	if m.port == nil {
		return nil
	}
	if a.Floor == nil && m.floor != nil { // an endpoint that owns the socket has been closed, or is
		m.floor.close()
		m.floor = nil
	}
	for _, k := range []sdp.Kind{sdp.Audio, sdp.Video, sdp.Slides, sdp.Camera} {
		s, l := a.Stream(k), m.lines[k]
		if k == sdp.Camera {
			s = a.Camera
		}
		switch {
		case s == nil && l == nil:
			continue
		case s == nil:
			m.set(k, nil, nil)
			_ = l.Close()
			delete(m.lines, k)
			continue
		case l == nil:
			return fmt.Errorf("sip: %v agreed on without a socket", k)
		}
		if err := l.SetRemote(s.Remote()); err != nil {
			return fmt.Errorf("%v: %w", k, err)
		}
		m.set(k, s, l)
		if !l.started {
			l.started = true
			l.Start(m.handler(k))
		}
	}
	return nil
}

func (m *media) handler(k sdp.Kind) rtp.Handler {
	switch k {
	case sdp.Audio:
		return rtp.Handler{RTP: m.port.AudioRTP, RTCP: m.port.AudioRTCP}
	case sdp.Slides:
		return rtp.Handler{RTP: m.port.ContentRTP, RTCP: m.port.ContentRTCP}
	case sdp.Camera:
		return rtp.DataHandler(m.camera)
	}
	return rtp.Handler{RTP: m.port.VideoRTP, RTCP: m.port.VideoRTCP}
}

// set tells the port of a stream; nil takes it away.
func (m *media) set(k sdp.Kind, s *sdp.Stream, l *line) {
	switch {
	case k == sdp.Camera: // no media
	case k == sdp.Audio && s == nil:
		m.port.SetAudio(nil)
	case k == sdp.Audio:
		m.port.SetAudio(m.audio(s, l))
	case k == sdp.Slides && s == nil:
		m.port.SetContent(nil)
	case k == sdp.Slides:
		m.port.SetContent(m.video(s, l))
	case s == nil:
		m.port.SetVideo(nil)
	default:
		m.port.SetVideo(m.video(s, l))
	}
}

func (m *media) audio(s *sdp.Stream, l *line) *port.Audio {
	return port.AgreedAudio(s, port.Local{SSRC: l.ssrc, CNAME: m.cname, Out: l})
}

func (m *media) video(s *sdp.Stream, l *line) *port.Video {
	v := port.AgreedVideo(s, port.Local{SSRC: l.ssrc, CNAME: m.cname, Out: l})
	v.MaxPayload = maxPayload
	if !v.PLI && !v.FIR {
		v.KeyFrame = m.keyFrame
	}
	return v
}

// wantsKeyFrame says that the peer asked for a key frame by signalling.
func (m *media) wantsKeyFrame() {
	if m.port != nil {
		m.port.PeerWantsKeyFrame()
	}
}

// held reports whether the peer takes nothing from us.
func (m *media) held() bool {
	if m.agreed == nil {
		return false
	}
	for i := range m.agreed.Streams {
		if !m.agreed.Streams[i].Held {
			return false
		}
	}
	return true
}

// has reports whether a stream of that kind is in use.
func (m *media) has(k sdp.Kind) bool { return m.agreed.Stream(k) != nil }

// wants reports whether the call is to have a stream of that kind. While we are
// the ones who offer, nobody has said no.
func (m *media) wants(k sdp.Kind) bool { return m.agreed == nil || m.has(k) }

// codec is the SDP name of what a stream uses; empty if there is none.
func (m *media) codec(k sdp.Kind) string {
	switch s := m.agreed.Stream(k); {
	case s == nil:
		return ""
	case k == sdp.Audio:
		return s.Audio.Codec.Name
	default:
		return s.Video.Codec.Name
	}
}

// encrypted reports whether every stream is.
func (m *media) encrypted() bool {
	for i := range m.agreed.Streams {
		if m.agreed.Streams[i].Crypto == nil {
			return false
		}
	}
	return true
}

// close frees everything. Later calls do nothing, and return when the first
// one has: whoever closes finds the ports free.
func (m *media) close() { m.once.Do(m.free) }

func (m *media) free() {
	m.mu.Lock()
	m.closed = true
	p, lines, control := m.port, m.lines, m.floor
	m.lines, m.floor = nil, nil
	if m.expiry != nil {
		m.expiry.Stop()
	}
	m.mu.Unlock()
	if p != nil {
		p.Close() // first: it says goodbye through the sockets
	}
	for _, l := range lines {
		_ = l.Close()
	}
	control.close()
}

// abandon sees to it that the media is freed after d, if the participant that
// it was handed to died before it could.
func (m *media) abandon(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.expiry = time.AfterFunc(d, m.close)
	}
}

// A leg is the port with the sockets behind it, as the participant gets it.
type leg struct {
	*port.Port
	media *media
}

var _ participant.Port = (*leg)(nil)

// Close frees port and sockets. Later calls do nothing.
func (l *leg) Close() { l.media.close() }

// newSSRC returns what RTP calls a random identifier (RFC 3550 section 8); zero
// would mean none.
func newSSRC() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return max(1, binary.BigEndian.Uint32(b[:]))
}
