package webrtc

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"

	"github.com/skybridge-media/skybridge/media/port"
	media "github.com/skybridge-media/skybridge/media/rtp"
)

var (
	_ media.Writer    = (*track)(nil)
	_ pion.TrackLocal = (*track)(nil)
)

// A track is what we send of one kind: pion's TrackLocal towards the peer
// connection, the port's Writer on the other side. Packets go from one to the
// other as they are; nothing is copied before SRTP.
type track struct {
	kind   kind
	stream string
	rtcp   func([]rtcp.Packet) error
	out    atomic.Pointer[pion.TrackLocalWriter] // nil until pion binds the track
}

func newTrack(k kind, stream string, rtcp func([]rtcp.Packet) error) *track {
	return &track{kind: k, stream: stream, rtcp: rtcp}
}

// WriteRTP implements [media.Writer]. What is sent before the connection
// stands is lost.
func (t *track) WriteRTP(h *rtp.Header, payload []byte) error {
	out := t.out.Load()
	if out == nil {
		return nil
	}
	h.Version = 2
	_, err := (*out).WriteRTP(h, payload)
	return err
}

// WriteRTCP implements [media.Writer].
func (t *track) WriteRTCP(packets []rtcp.Packet) error { return t.rtcp(packets) }

// Bind implements [pion.TrackLocal].
func (t *track) Bind(ctx pion.TrackLocalContext) (pion.RTPCodecParameters, error) {
	params := ctx.CodecParameters()
	i := slices.IndexFunc(params, func(p pion.RTPCodecParameters) bool {
		return p.MimeType != string(audio)+"/"+events
	})
	if i < 0 {
		return pion.RTPCodecParameters{}, pion.ErrUnsupportedCodec
	}
	out := ctx.WriteStream()
	t.out.Store(&out)
	return params[i], nil
}

// Unbind implements [pion.TrackLocal].
func (t *track) Unbind(pion.TrackLocalContext) error {
	t.out.Store(nil)
	return nil
}

func (t *track) ID() string              { return string(t.kind) }
func (t *track) RID() string             { return "" }
func (t *track) StreamID() string        { return t.stream }
func (t *track) Kind() pion.RTPCodecType { return t.kind.pion() }

// install puts the streams of the current choice on the port. Callers hold
// negotiation.
func (c *Call) install() {
	// Who has no stream for what is presented leaves that of another connection.
	if v := c.portVideo(c.choice.content); v != nil || c.shows.Load() {
		c.shows.Store(v != nil)
		c.offer.Port.SetContent(v)
	}
	if c.offer.Slides {
		return
	}
	var a *port.Audio
	if s := c.choice.audio; s != nil {
		a = &port.Audio{
			Codec:         s.audio,
			FEC:           s.fec(),
			SendType:      s.codec.pt,
			RecvType:      s.codec.pt,
			EventSendType: s.event,
			EventRecvType: s.event,
			EventClock:    s.eventClock,
			LevelExt:      s.section.levelExt,
			Send:          s.send,
			Recv:          s.recv,
			SSRC:          c.id.sources[audio],
			CNAME:         c.id.stream,
			Out:           c.tracks[audio],
		}
	}
	c.offer.Port.SetAudio(a)
	c.offer.Port.SetVideo(c.portVideo(c.choice.video))
}

// portVideo is what the port is told of a picture; nil of none.
func (c *Call) portVideo(s *stream) *port.Video {
	if s == nil {
		return nil
	}
	k := s.section.kind()
	v := &port.Video{
		Codec:      s.video,
		SendType:   s.codec.pt,
		RecvType:   s.codec.pt,
		Mode:       s.mode,
		MaxPayload: maxPayload,
		Width:      s.limits.width,
		Height:     s.limits.height,
		FrameRate:  s.limits.rate,
		MaxBitrate: s.limits.bps,
		NACK:       slices.Contains(s.feedback, "nack"),
		PLI:        slices.Contains(s.feedback, "nack pli"),
		FIR:        slices.Contains(s.feedback, "ccm fir"),
		REMB:       slices.Contains(s.feedback, "goog-remb"),
		Send:       s.send,
		Recv:       s.recv,
		Alone:      c.offer.Slides,
		SSRC:       c.id.sources[k],
		CNAME:      c.id.stream,
		Out:        c.tracks[k],
	}
	v.Layers, v.LayerExt = s.portLayers()
	return v
}

// maxPayload is the most RTP payload in a packet, in bytes, the same as for telephones,
// which share encodes with peers that differ in nothing else. With all headers that
// is 1276 over IPv6, below the least MTU it has.
const maxPayload = 1200

// codecName is for logs; empty for no stream.
func (s *stream) codecName() string {
	if s == nil {
		return ""
	}
	return s.format.name
}

// onTrack is called by pion, on a goroutine of its own, for every stream that
// the peer sends: as soon as it is declared, or with its first packet. The layers
// of a simulcast are streams of their own.
func (c *Call) onTrack(t *pion.TrackRemote, r *pion.RTPReceiver) {
	p := c.offer.Port
	rtpTo, rtcpTo := p.AudioRTP, p.AudioRTCP
	switch {
	case t.Kind() != pion.RTPCodecTypeVideo:
	case c.isSlides(r):
		rtpTo, rtcpTo = p.ContentRTP, p.ContentRTCP
	default:
		rtpTo, rtcpTo = p.VideoRTP, p.VideoRTCP
	}
	c.spawn(func() { readPackets(t, rtpTo) })
	read := r.Read
	if rid := t.RID(); rid != "" {
		read = func(b []byte) (int, interceptor.Attributes, error) { return r.ReadSimulcast(b, rid) }
	}
	c.spawn(func() { readSenderReports(read, rtcpTo) })
}

// isSlides reports whether a receiver is of the section for what is presented.
func (c *Call) isSlides(r *pion.RTPReceiver) bool {
	c.mu.Lock()
	mid := c.slides
	c.mu.Unlock()
	return mid != "" && slices.ContainsFunc(c.pc.GetTransceivers(), func(t *pion.RTPTransceiver) bool {
		return t.Receiver() == r && t.Mid() == mid
	})
}

// readPackets hands over what a remote stream carries until it ends.
func readPackets(t *pion.TrackRemote, to func(*rtp.Packet, time.Time)) {
	buf := make([]byte, maxDatagram)
	var pkt rtp.Packet
	for {
		n, _, err := t.Read(buf)
		if n == 0 {
			return // the stream has ended: err says why, and nobody needs to know
		}
		// An error with data means a payload type that was not negotiated.
		if err != nil || pkt.Unmarshal(buf[:n]) != nil {
			continue
		}
		to(&pkt, time.Now())
	}
}

// readSenderReports hands over what the sender of a remote stream says of it.
// pion delivers a report to every stream that it is about, the ones that we
// send included; the blocks about those come through readReports.
func readSenderReports(
	read func([]byte) (int, interceptor.Attributes, error), to func([]rtcp.Packet, time.Time),
) {
	readRTCP(read, to, func(p rtcp.Packet) rtcp.Packet {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			p.Reports = nil
			return p
		case *rtcp.SourceDescription, *rtcp.Goodbye, *rtcp.ExtendedReport:
			return p
		}
		return nil
	})
}

// readReports hands over what the peer says of a stream that we send: blocks
// of reports, and requests to send again, anew, or less.
func (c *Call) readReports(k kind, ssrc uint32, s *pion.RTPSender) {
	to := c.offer.Port.AudioRTCP
	switch k {
	case video:
		to = c.offer.Port.VideoRTCP
	case content:
		to = c.offer.Port.ContentRTCP
	}
	about := func(r rtcp.ReceptionReport) bool { return r.SSRC != ssrc }
	readRTCP(s.Read, to, func(p rtcp.Packet) rtcp.Packet {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			blocks := slices.DeleteFunc(p.Reports, about)
			if len(blocks) == 0 {
				return nil
			}
			return &rtcp.ReceiverReport{SSRC: p.SSRC, Reports: blocks}
		case *rtcp.SourceDescription, *rtcp.Goodbye:
			return nil
		}
		return p
	})
}

// readRTCP reads until the stream ends. keep returns what to hand over of a
// packet, nil for nothing.
func readRTCP[A any](read func([]byte) (int, A, error), to func([]rtcp.Packet, time.Time), keep func(rtcp.Packet) rtcp.Packet) {
	buf := make([]byte, maxDatagram)
	for {
		n, _, err := read(buf)
		if err != nil {
			return
		}
		packets, err := rtcp.Unmarshal(buf[:n])
		if err != nil {
			continue
		}
		kept := packets[:0]
		for _, p := range packets {
			if p = keep(p); p != nil {
				kept = append(kept, p)
			}
		}
		if len(kept) > 0 {
			to(kept, time.Now())
		}
	}
}
