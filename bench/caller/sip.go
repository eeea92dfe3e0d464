package caller

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/media/port"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
	"github.com/skybridge-media/skybridge/services/sip/bfcp"
)

func init() {
	// SDP with audio and video does not fit in the 1300 bytes that sipgo
	// would send over UDP.
	sip.UDPMTUSize = 65000
}

// SIP is a participant that called over UDP. Safe for concurrent use.
type SIP struct {
	cfg    Config
	ua     *sipgo.UserAgent
	server *sipgo.Server
	conn   net.PacketConn
	dialog *sipgo.DialogClientSession
	port   *port.Port
	lines  map[sdp.Kind]*line // with sockets
	engine *engine

	control net.PacketConn // of the floor, before there is one
	floor   *bfcp.Endpoint // nil: none

	ended chan struct{}
	once  sync.Once
	wg    sync.WaitGroup
}

// DialSIP calls the user part room at server, an address and port that speaks
// SIP over UDP, and returns when media can flow.
func DialSIP(ctx context.Context, server netip.AddrPort, room string, cfg Config) (*SIP, error) {
	cfg.defaults()
	s := newSIP(cfg)
	if err := s.dial(ctx, server, room); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("dial %s by SIP: %w", room, err)
	}
	return s, nil
}

func newSIP(cfg Config) *SIP {
	return &SIP{
		cfg: cfg, lines: map[sdp.Kind]*line{}, port: port.New(port.Config{Log: cfg.Log}),
		ended: make(chan struct{}),
	}
}

func (s *SIP) dial(ctx context.Context, server netip.AddrPort, room string) error {
	// Where the server sees us: the address of the way there.
	probe, err := net.Dial("udp", server.String())
	if err != nil {
		return err
	}
	local := probe.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
	_ = probe.Close() // it has sent nothing
	if s.conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0))); err != nil {
		return err
	}
	self := s.conn.LocalAddr().(*net.UDPAddr)

	if s.ua, err = sipgo.NewUA(sipgo.WithUserAgent(s.cfg.Name), sipgo.WithUserAgentHostname(local.String())); err != nil {
		return err
	}
	if s.server, err = sipgo.NewServer(s.ua); err != nil {
		return err
	}
	client, err := sipgo.NewClient(s.ua, sipgo.WithClientConnectionAddr(self.String()))
	if err != nil {
		return err
	}
	s.server.OnBye(func(req *sip.Request, tx sip.ServerTransaction) {
		_ = s.dialog.ReadBye(req, tx) // a BYE of nobody's dialog: the 481 is sipgo's
		s.end()
	})
	s.wg.Go(func() { _ = s.server.ServeUDP(s.conn) }) // ends with the socket
	if err := s.serving(ctx, self.String()); err != nil {
		return err
	}

	offer, body, err := s.offer(local)
	if err != nil {
		return err
	}
	dialogs := sipgo.DialogUA{Client: client, ContactHDR: sip.ContactHeader{
		Address: sip.Uri{Scheme: "sip", User: "caller", Host: local.String(), Port: self.Port},
	}}
	err = s.invite(ctx, &dialogs, server, room, body)
	if elsewhere, ok := moved(err); ok { // the conference is on another node
		err = s.invite(ctx, &dialogs, elsewhere, room, body)
	}
	if err != nil {
		return err
	}
	if err := s.dialog.Ack(ctx); err != nil {
		return err
	}
	answer, err := sdp.Parse(s.dialog.InviteResponse.Body())
	if err != nil {
		return err
	}
	agreed, err := offer.Accept(answer)
	if err != nil {
		return err
	}
	if err := s.connect(agreed); err != nil {
		return err
	}
	s.engine = start(s.cfg, s.port)
	return nil
}

// serving waits until our socket is the one that requests leave by: sipgo does
// not tell when ServeUDP has begun, and would open another.
func (s *SIP) serving(ctx context.Context, addr string) error {
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for {
		if c, err := s.ua.TransportLayer().GetConnection("udp", addr); err == nil && c != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
		}
	}
}

// invite calls room at server and waits for the answer.
func (s *SIP) invite(ctx context.Context, dialogs *sipgo.DialogUA, server netip.AddrPort, room string, body []byte) error {
	self := dialogs.ContactHDR.Address
	invite := sip.NewRequest(sip.INVITE, sip.Uri{Scheme: "sip", User: room, Host: server.Addr().String(), Port: int(server.Port())})
	from := &sip.FromHeader{DisplayName: s.cfg.Name, Params: sip.NewParams(), Address: sip.Uri{Scheme: "sip", User: self.User, Host: self.Host}}
	from.Params.Add("tag", sip.GenerateTagN(12))
	invite.AppendHeader(from)
	invite.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	invite.SetBody(body)
	var err error
	if s.dialog, err = dialogs.WriteInvite(ctx, invite); err != nil {
		return err
	}
	return s.dialog.WaitAnswer(ctx, sipgo.AnswerOptions{})
}

// moved returns where a 302 sends us.
func moved(err error) (netip.AddrPort, bool) {
	refused, ok := errors.AsType[*sipgo.ErrDialogResponse](err)
	if !ok || refused.Res.StatusCode != sip.StatusMovedTemporarily || refused.Res.Contact() == nil {
		return netip.AddrPort{}, false
	}
	uri := refused.Res.Contact().Address
	addr, err := netip.ParseAddr(uri.Host)
	return netip.AddrPortFrom(addr, uint16(uri.Port)), err == nil
}

// A line is one stream's sockets, and what we send through them.
type line struct {
	*rtp.Session
	ssrc uint32
}

// offer opens the sockets and describes them.
func (s *SIP) offer(local netip.Addr) (*sdp.Offer, []byte, error) {
	caps := &sdp.Capabilities{Width: s.cfg.Width, Height: s.cfg.Height, FrameRate: s.cfg.FrameRate}
	l := sdp.Local{Address: local}
	var err error
	if s.cfg.Audio != nil {
		caps.Audio = []*codecs.Audio{s.cfg.Audio}
		if l.Audio, err = s.open(sdp.Audio, local); err != nil {
			return nil, nil, err
		}
	}
	if s.cfg.Video != nil {
		caps.Video = []*codecs.Video{s.cfg.Video}
		if l.Video, err = s.open(sdp.Video, local); err != nil {
			return nil, nil, err
		}
	}
	if s.cfg.Slides != nil {
		caps.Slides, caps.Floor = true, sdp.FloorClient
		if l.Slides, err = s.open(sdp.Slides, local); err != nil {
			return nil, nil, err
		}
		if s.control, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0))); err != nil {
			return nil, nil, err
		}
		l.Floor = sdp.Endpoint{Port: s.control.LocalAddr().(*net.UDPAddr).Port}
	}
	offer := sdp.NewOffer(caps, nil)
	return offer, offer.Describe(l), nil
}

// open binds the sockets of a line.
func (s *SIP) open(k sdp.Kind, local netip.Addr) (sdp.Endpoint, error) {
	session, err := rtp.Listen(rtp.Config{Bind: local, Log: s.cfg.Log})
	if err != nil {
		return sdp.Endpoint{}, err
	}
	l := &line{session, ssrc()}
	s.lines[k] = l
	return sdp.Endpoint{Port: l.Port(), RTCPPort: l.RTCPPort(), SSRC: l.ssrc, CNAME: s.cfg.Name}, nil
}

// connect joins the sockets and the port.
func (s *SIP) connect(agreed *sdp.Agreement) error {
	for k, l := range s.lines {
		stream := agreed.Stream(k)
		if stream == nil {
			continue
		}
		if err := l.SetRemote(stream.Remote()); err != nil {
			return err
		}
		local := port.Local{SSRC: l.ssrc, CNAME: s.cfg.Name, Out: l}
		if s.cfg.Lose != nil {
			local.Out = lossy{l, k, s.cfg.Lose}
		}
		if k == sdp.Audio {
			s.port.SetAudio(port.AgreedAudio(stream, local))
			l.Start(rtp.Handler{RTP: tapped(s.cfg.Tap, s.port.AudioRTP), RTCP: s.port.AudioRTCP})
			continue
		}
		if k == sdp.Slides {
			s.port.SetContent(port.AgreedVideo(stream, local))
			l.Start(rtp.Handler{RTP: s.port.ContentRTP, RTCP: s.port.ContentRTCP})
			continue
		}
		v := port.AgreedVideo(stream, local)
		v.Send = v.Send && s.cfg.sendsVideo()
		s.port.SetVideo(v)
		l.Start(rtp.Handler{RTP: s.port.VideoRTP, RTCP: s.port.VideoRTCP})
	}
	if agreed.Floor == nil || s.cfg.Slides == nil {
		return nil
	}
	var err error
	s.floor, err = bfcp.Datagrams(s.control, bfcp.Config{Floor: *agreed.Floor, Notify: s.cfg.Slides.Floor, Log: s.cfg.Log})
	return err
}

// Floor controls who presents, as the client; nil if the other side has none.
func (s *SIP) Floor() *bfcp.Endpoint { return s.floor }

// Press sends one key as a telephone event (RFC 4733).
func (s *SIP) Press(digit byte) error { return s.port.SendDigit(digit, 100*time.Millisecond) }

// Stats returns the figures of the call's media.
func (s *SIP) Stats() port.Stats { return s.port.Stats() }

// Done is closed when the call has ended, whoever ended it.
func (s *SIP) Done() <-chan struct{} { return s.ended }

func (s *SIP) end() { s.once.Do(func() { close(s.ended) }) }

// Close hangs up and waits until everything has stopped.
func (s *SIP) Close() error {
	var err error
	select {
	case <-s.ended: // the other side hung up
	default:
		if s.engine != nil {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			err = s.dialog.Bye(ctx)
			cancel()
		}
	}
	s.end()
	if s.engine != nil {
		s.engine.close()
	}
	if s.floor != nil {
		s.floor.Close()
	} else if s.control != nil {
		_ = s.control.Close()
	}
	s.port.Close()
	for _, l := range s.lines {
		err = errors.Join(err, l.Close())
	}
	if s.ua != nil {
		err = errors.Join(err, s.ua.Close())
	}
	if s.conn != nil {
		_ = s.conn.Close() // the user agent may have done so
	}
	s.wg.Wait()
	return err
}
