package load

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"github.com/skybridge-media/skybridge/media/sdp"
)

func init() {
	// SDP with audio and video does not fit in the 1300 bytes that sipgo
	// would send over UDP.
	sip.UDPMTUSize = 65000
}

// A phone places all calls of a generator through one socket.
type phone struct {
	spec    *Spec
	ua      *sipgo.UserAgent
	conn    *net.UDPConn
	dialogs *sipgo.DialogClientCache
	ended   func() // the server has ended a call
	wg      sync.WaitGroup
}

func newPhone(ctx context.Context, spec *Spec, ended func()) (*phone, error) {
	p := &phone{spec: spec, ended: ended}
	var err error
	if p.conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(spec.Server.Addr(), 0))); err != nil {
		return nil, err
	}
	self := p.conn.LocalAddr().(*net.UDPAddr)
	if p.ua, err = sipgo.NewUA(sipgo.WithUserAgent("load"), sipgo.WithUserAgentHostname(self.IP.String())); err != nil {
		return nil, err
	}
	server, err := sipgo.NewServer(p.ua)
	if err != nil {
		return nil, err
	}
	client, err := sipgo.NewClient(p.ua, sipgo.WithClientConnectionAddr(self.String()))
	if err != nil {
		return nil, err
	}
	p.dialogs = sipgo.NewDialogClientCache(client, sip.ContactHeader{
		Address: sip.Uri{Scheme: "sip", User: "load", Host: self.IP.String(), Port: self.Port},
	})
	server.OnBye(func(req *sip.Request, tx sip.ServerTransaction) {
		_ = p.dialogs.ReadBye(req, tx) // a BYE of nobody's dialog: the 481 is sipgo's
		p.ended()
	})
	p.wg.Go(func() { _ = server.ServeUDP(p.conn) }) // ends with the socket
	return p, p.serving(ctx, self.String())
}

// serving waits until our socket is the one that requests leave by: sipgo does
// not tell when ServeUDP has begun, and would open another.
func (p *phone) serving(ctx context.Context, addr string) error {
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for {
		if c, err := p.ua.TransportLayer().GetConnection("udp", addr); err == nil && c != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
		}
	}
}

// levelLine is how an offer proposes RFC 6464.
var levelLine = regexp.MustCompile(`a=extmap:\d+ urn:ietf:params:rtp-hdrext:ssrc-audio-level[^\r\n]*\r?\n`)

// dial calls for m, whose sockets are open, and returns the dialog once media
// may flow.
func (p *phone) dial(ctx context.Context, m *member) (call, error) {
	offer := sdp.NewOffer(m.capabilities(p.spec), nil)
	body := offer.Describe(m.local(p.spec.Server.Addr()))
	if !p.spec.Levels {
		body = levelLine.ReplaceAll(body, nil)
	}
	if p.spec.Video != nil {
		body = p.spec.Video.offer(body)
	}
	invite := sip.NewRequest(sip.INVITE, sip.Uri{
		Scheme: "sip", User: m.room, Host: p.spec.Server.Addr().String(), Port: int(p.spec.Server.Port()),
	})
	from := &sip.FromHeader{
		DisplayName: m.name, Params: sip.NewParams(),
		Address: sip.Uri{Scheme: "sip", User: "load", Host: p.spec.Server.Addr().String()},
	}
	from.Params.Add("tag", sip.GenerateTagN(12))
	invite.AppendHeader(from)
	invite.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	invite.SetBody(body)
	dialog, err := p.dialogs.WriteInvite(ctx, invite)
	if err != nil {
		return nil, err
	}
	if err := dialog.WaitAnswer(ctx, sipgo.AnswerOptions{}); err != nil {
		return nil, err
	}
	if err := dialog.Ack(ctx); err != nil {
		return nil, err
	}
	answer, err := sdp.Parse(bytes.Clone(dialog.InviteResponse.Body()))
	if err != nil {
		return nil, err
	}
	agreed, err := offer.Accept(answer)
	if err != nil {
		return nil, err
	}
	if !p.spec.Levels {
		for i := range agreed.Streams {
			if a := agreed.Streams[i].Audio; a != nil {
				a.LevelExt = 0
			}
		}
	}
	return dialed{dialog}, m.connect(agreed)
}

// dialed is a call by SIP.
type dialed struct{ *sipgo.DialogClientSession }

func (d dialed) hangUp() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := d.Bye(ctx); err != nil {
		return fmt.Errorf("load: bye: %w", err)
	}
	return nil
}

func (p *phone) close() {
	_ = p.ua.Close() // what it has to say is nobody's concern any more
	_ = p.conn.Close()
	p.wg.Wait()
}
