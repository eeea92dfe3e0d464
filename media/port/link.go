package port

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	media "github.com/skybridge-media/skybridge/media/rtp"
)

// A link is the bookkeeping of one RTP stream in both directions: what the
// reports say (RFC 3550 section 6). Safe for concurrent use; its lock is held
// neither while packets are written nor while anything is decoded.
type link struct {
	mu sync.Mutex // guards everything below

	out     media.Writer // nil: no stream
	ssrc    uint32       // of what we send
	cname   string
	clock   int           // Hz
	nominal int           // bit/s of the session, which sets the report interval
	metrics streamMetrics // of the medium

	in      reception
	layers  []incoming // of a simulcast, in place of in; empty: a single stream
	ext     uint8      // header extension that names layers
	lostIn  uint64     // of what was lost, counted in metrics
	rateIn  rate
	rateOut rate
	remb    estimator

	packets, octets uint32 // sent with this SSRC
	allPackets      uint64
	allBytes        uint64
	stamp           uint32    // timestamp of the media sampled at stampAt
	stampAt         time.Time // zero: nothing sent yet
	reported        uint32    // packets at the last report
	active          bool      // sent something between the last two reports

	rtt  time.Duration // zero: unknown
	loss float64       // share of what we sent that the peer missed, in its last report
	lost uint64        // what it missed altogether

	next time.Time // of the next report; zero: not scheduled yet
}

// configure begins or continues a stream. Another SSRC begins a new one.
func (l *link) configure(out media.Writer, ssrc uint32, cname string, clock, nominal int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ssrc != ssrc || l.clock != clock {
		l.packets, l.octets, l.reported, l.active = 0, 0, 0, false
		l.stampAt = time.Time{}
		l.rtt, l.loss = 0, 0
	}
	if l.clock != clock {
		l.in.timed, l.in.jitter = false, 0
	}
	l.out, l.ssrc, l.cname, l.clock, l.nominal = out, ssrc, cname, clock, nominal
	l.in.clock = clock
}

// goodbye ends the stream and tells the peer (RFC 3550 section 6.6).
func (l *link) goodbye(now time.Time) {
	l.mu.Lock()
	out := l.out
	l.out = nil
	var packets []rtcp.Packet
	if out != nil {
		packets = append(l.reports(now), &rtcp.Goodbye{Sources: []uint32{l.ssrc}})
	}
	l.mu.Unlock()
	if out != nil {
		_ = out.WriteRTCP(packets) // nobody waits for it
	}
}

// accept decides whether a packet belongs to the stream, and counts it if it
// does. timed says that its timestamp is that of its media. changed says that it
// is the first of a new source.
func (l *link) accept(pkt *rtp.Packet, timed bool, now time.Time) (ok, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ok, changed = l.in.accept(pkt.SSRC, now); ok {
		l.in.packet(pkt.SequenceNumber, pkt.Timestamp, len(pkt.Payload), timed, now)
	}
	return ok, changed
}

// sent counts packets of the given total payload, sampled at the given time.
func (l *link) sent(packets, size int, timestamp uint32, sampled time.Time) {
	l.mu.Lock()
	l.packets += uint32(packets)
	l.octets += uint32(size)
	l.allPackets += uint64(packets)
	l.allBytes += uint64(size)
	l.stamp, l.stampAt = timestamp, sampled
	l.mu.Unlock()
}

// addTo adds the traffic to sums by direction.
func (l *link) addTo(sums []media.Traffic) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.totals()
	sums[received].Packets += in.packets
	sums[received].Bytes += in.bytes
	sums[sent].Packets += l.allPackets
	sums[sent].Bytes += l.allBytes
}

// own returns the SSRC of what is sent.
func (l *link) own() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ssrc
}

func (l *link) roundTrip() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rtt
}

// heard takes a report block of the peer. ours is false if it is not about
// this stream.
func (l *link) heard(block *rtcp.ReceptionReport, now time.Time) (loss float64, ours bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if block.SSRC != l.ssrc || l.out == nil {
		return 0, false
	}
	if rtt := roundTrip(block, now); rtt > 0 {
		l.rtt = rtt
		l.metrics.roundTrip.Observe(rtt.Seconds())
	}
	l.loss = float64(block.FractionLost) / 256
	// TotalLost is 24 bits with a sign: duplicates make it negative.
	if total := int32(block.TotalLost<<8) >> 8; total > 0 {
		if n := uint64(total); n > l.lost {
			l.metrics.lost[sent].Add(float64(n - l.lost))
			l.lost = n
		}
	}
	return l.loss, true
}

// heardReport takes a sender report of the peer, if it is about what we
// receive.
func (l *link) heardReport(sr *rtcp.SenderReport, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := range l.receptions {
		if r.begun && sr.SSRC == r.ssrc {
			r.heardReport(sr, now)
		}
	}
}

// due returns the reports to be sent if it is time for them.
func (l *link) due(now time.Time) (media.Writer, []rtcp.Packet) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.out == nil:
		return nil, nil
	case l.next.IsZero(): // the first one comes after half the interval
		l.next = now.Add(reportInterval(l.nominal) / 2)
		return nil, nil
	case now.Before(l.next):
		return nil, nil
	}
	l.next = now.Add(reportInterval(l.nominal))
	return l.out, l.reports(now)
}

// reports makes a sender or receiver report and the description that goes with
// each.
func (l *link) reports(now time.Time) []rtcp.Packet {
	blocks := l.blocks(now)
	sending := l.packets != l.reported
	recently := l.active || sending
	l.active, l.reported = sending, l.packets
	if !recently || l.stampAt.IsZero() {
		return []rtcp.Packet{&rtcp.ReceiverReport{SSRC: l.ssrc, Reports: blocks}, l.description()}
	}
	elapsed := now.Sub(l.stampAt)
	return []rtcp.Packet{
		&rtcp.SenderReport{
			SSRC: l.ssrc, NTPTime: ntpTime(now),
			RTPTime:     l.stamp + uint32(int64(elapsed)*int64(l.clock/1000)/int64(time.Millisecond)),
			PacketCount: l.packets, OctetCount: l.octets, Reports: blocks,
		},
		l.description(),
	}
}

// feedback puts in front of feedback packets what a compound packet must begin
// with (RFC 4585 section 3.1); out is nil if there is no stream.
func (l *link) feedback(packets ...rtcp.Packet) (out media.Writer, compound []rtcp.Packet) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out, append([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: l.ssrc}, l.description()}, packets...)
}

func (l *link) description() *rtcp.SourceDescription {
	return &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: l.ssrc,
		Items:  []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: l.cname}},
	}}}
}

// measure updates what is derived from counters, about every second.
func (l *link) measure(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.totals()
	l.rateIn.measure(in.bytes, now)
	l.rateOut.measure(l.allBytes, now)
	if in.lost > l.lostIn {
		l.metrics.lost[received].Add(float64(in.lost - l.lostIn))
		l.lostIn = in.lost
	}
}

// outgoing returns the bitrate that was sent over the last second.
func (l *link) outgoing() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rateOut.bits
}

// estimate returns the bitrate that the peer may send, and whether it is time
// to tell it. It always is if hurry is true.
func (l *link) estimate(now time.Time, hurry bool) (bitrate int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if hurry && l.remb.bitrate > 0 {
		return l.remb.bitrate, true
	}
	t := l.totals()
	return l.remb.estimate(t.expected, t.got, l.rateIn.bits, now)
}

// stats fills in what a link knows of both directions.
func (l *link) stats(in, out *Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.totals()
	in.Packets, in.Bytes, in.Bitrate = t.packets, t.bytes, l.rateIn.bits
	in.Lost, in.Loss, in.Jitter, in.RTT = t.lost, float64(t.fraction)/256, t.jitter, l.rtt
	out.Packets, out.Bytes, out.Bitrate = l.allPackets, l.allBytes, l.rateOut.bits
	out.Lost, out.Loss, out.RTT = l.lost, l.loss, l.rtt
}

// reportInterval draws the time to the next report. With two members the
// bandwidth share of RTCP never makes it longer than the minimum, which is 360
// seconds over the session bandwidth in kbit/s, at most 5 s (RFC 3550 section
// 6.2); below a second there is nothing to gain.
func reportInterval(bitrate int) time.Duration {
	const (
		most       = 5 * time.Second
		least      = time.Second
		correction = 1.21828 // e - 3/2: appendix A.7
	)
	minimum := min(max(360*time.Second/time.Duration(max(bitrate/1000, 1)), least), most)
	return time.Duration(float64(minimum) * (0.5 + rand.Float64()) / correction)
}

// A rate measures a bitrate from a byte counter.
type rate struct {
	bits  int // per second, over the last second or so
	bytes uint64
	at    time.Time
}

func (r *rate) measure(bytes uint64, now time.Time) {
	elapsed := now.Sub(r.at)
	switch {
	case r.at.IsZero():
	case elapsed < time.Second:
		return
	default:
		r.bits = int(8 * float64(bytes-r.bytes) / elapsed.Seconds())
	}
	r.bytes, r.at = bytes, now
}
