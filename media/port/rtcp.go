package port

import (
	"time"

	"github.com/pion/rtcp"

	media "github.com/skybridge-media/skybridge/media/rtp"
)

// AudioRTCP takes what one RTCP datagram of the audio stream held, and when it
// arrived at this machine.
func (p *Port) AudioRTCP(packets []rtcp.Packet, arrived time.Time) {
	p.control(packets, arrived, &p.video)
}

// VideoRTCP does the same for the video stream.
func (p *Port) VideoRTCP(packets []rtcp.Packet, arrived time.Time) {
	p.control(packets, arrived, &p.video)
}

// ContentRTCP does the same for the content stream.
func (p *Port) ContentRTCP(packets []rtcp.Packet, arrived time.Time) {
	p.control(packets, arrived, &p.content)
}

// sent returns the video stream of ours that feedback is about. Some peers do not
// say, and mean silent: that of the line that it came with.
func (p *Port) sent(ssrc uint32, silent *videoStream) *videoStream {
	switch ssrc {
	case 0:
		return silent
	case p.content.link.own():
		return &p.content
	}
	return &p.video
}

// control takes RTCP from the network. Report blocks name the stream they are
// about, and so does feedback, so that it does not matter which stream a packet
// came with: with BUNDLE it may be any. What names none is about silent.
func (p *Port) control(packets []rtcp.Packet, now time.Time, silent *videoStream) {
	p.hear(now)
	for _, packet := range packets {
		switch packet := packet.(type) {
		case *rtcp.SenderReport:
			p.audio.link.heardReport(packet, now)
			for _, s := range p.videos() {
				s.link.heardReport(packet, now)
			}
			p.blocks(packet.Reports, now)
		case *rtcp.ReceiverReport:
			p.blocks(packet.Reports, now)
		case *rtcp.TransportLayerNack:
			p.nack(packet, now, silent)
		case *rtcp.PictureLossIndication:
			p.sent(packet.MediaSSRC, silent).wantKey()
		case *rtcp.FullIntraRequest:
			p.fullIntra(packet, now, silent)
		case *rtcp.ReceiverEstimatedMaximumBitrate:
			// Beyond a gigabit the float says nothing, and may be infinite.
			bitrate := int(min(max(packet.Bitrate, 0), 1e9))
			p.cfg.Metrics.estimates.Observe(float64(bitrate) / 8)
			for _, s := range p.videos() {
				if s == silent || !p.content.alone() {
					s.adapt(func(a *adapter, _ int) { a.estimated(bitrate, now) })
				}
			}
		case *media.BitrateLimit:
			p.bitrateLimit(packet, now)
		}
	}
}

// blocks takes report blocks.
func (p *Port) blocks(blocks []rtcp.ReceptionReport, now time.Time) {
	for i := range blocks {
		if loss, ours := p.audio.link.heard(&blocks[i], now); ours {
			p.audio.reported(loss, now)
			continue
		}
		for _, s := range p.videos() {
			if loss, ours := s.link.heard(&blocks[i], now); ours {
				s.adapt(func(a *adapter, _ int) { a.lossy(loss, now) })
			}
		}
	}
}

// nack sends again what is asked for.
func (p *Port) nack(packet *rtcp.TransportLayerNack, now time.Time, silent *videoStream) {
	s := p.sent(packet.MediaSSRC, silent)
	for i := range packet.Nacks {
		packet.Nacks[i].Range(func(seq uint16) bool {
			s.nacked(seq, now)
			return true
		})
	}
}

// fullIntra takes a FIR, which may ask several senders (RFC 5104 section
// 4.3.1). Some peers leave the SSRC out.
func (p *Port) fullIntra(packet *rtcp.FullIntraRequest, now time.Time, silent *videoStream) {
	for _, s := range p.videos() {
		ssrc := s.link.own()
		for _, e := range packet.FIR {
			if ssrc != 0 && e.SSRC == ssrc || e.SSRC == 0 && s == silent {
				s.wantKeyFIR(e.SequenceNumber, now)
				break
			}
		}
	}
}

// bitrateLimit takes a request of the peer to send less, or more, and its answer
// to one of ours (RFC 5104 sections 4.2.1 and 4.2.2). Of several for a stream of
// ours the last one counts, so that a packet is answered with one for each.
func (p *Port) bitrateLimit(packet *media.BitrateLimit, now time.Time) {
	for _, s := range p.videos() {
		s.bitrateLimit(packet, now)
	}
}

func (s *videoStream) bitrateLimit(packet *media.BitrateLimit, now time.Time) {
	ssrc := s.link.own()
	i := len(packet.Entries) - 1
	for i >= 0 && packet.Entries[i].SSRC != ssrc {
		i--
	}
	switch {
	case i < 0:
	case packet.Notification:
		s.in.mu.Lock()
		s.in.demand.answered()
		s.in.mu.Unlock()
	case s.out.obey(packet.Entries[i], now):
		e := packet.Entries[i]
		e.SSRC = packet.SenderSSRC
		s.feedback(&media.BitrateLimit{Notification: true, SenderSSRC: ssrc, Entries: []media.BitrateEntry{e}})
	}
}
