package port

import (
	"time"

	"github.com/pion/rtcp"
)

// Another SSRC takes over at once when the present one is silent for so long,
// and otherwise after so many packets in a row: a second source that talks in
// between does not turn the stream upside down.
const (
	sourceSilence = 200 * time.Millisecond
	sourcePackets = 3
)

// reception is the state of a received RTP stream (RFC 3550, appendix A). The
// sorting of packets is package jitter's business: this only counts. Not safe
// for concurrent use.
type reception struct {
	clock int // Hz

	begun   bool
	ssrc    uint32
	last    time.Time // arrival of the latest packet
	rival   uint32    // SSRC of the latest packets from elsewhere
	rivals  int       // how many in a row
	first   int64     // extended sequence numbers
	highest int64

	packets    uint64 // of this SSRC
	allPackets uint64 // of all
	allBytes   uint64
	allLost    uint64 // before this SSRC, or the last jump of its numbering
	othersLost uint64 // of allLost, before this SSRC

	transit int64 // of the packet before, in clock units
	timed   bool  // transit is valid
	jitter  float64

	expectedBefore, receivedBefore uint64 // at the last report
	fraction                       uint8  // lost since the report before it, of 256

	senderReport uint32 // middle of the NTP time in the peer's last report; 0: none
	reportedAt   time.Time
}

// accept decides whether a packet belongs to the stream. changed says that it
// is the first of a new source.
func (r *reception) accept(ssrc uint32, now time.Time) (ok, changed bool) {
	switch {
	case !r.begun:
	case ssrc == r.ssrc:
		r.rivals = 0
		return true, false
	case now.Sub(r.last) >= sourceSilence:
	case ssrc != r.rival || r.rivals == 0:
		r.rival, r.rivals = ssrc, 1
		return false, false
	case r.rivals+1 < sourcePackets:
		r.rivals++
		return false, false
	}
	changed = r.begun
	lost := r.lost()
	*r = reception{
		clock: r.clock, begun: true, ssrc: ssrc, first: -1,
		allPackets: r.allPackets, allBytes: r.allBytes, allLost: lost, othersLost: lost,
	}
	return true, changed
}

// packet counts a packet that was accepted. timed says that its timestamp is
// that of its media: not so for telephone events.
func (r *reception) packet(seq uint16, timestamp uint32, size int, timed bool, now time.Time) {
	if r.first < 0 {
		r.first = int64(seq) + 1<<16
		r.highest = r.first
	}
	// A jump of the numbering begins to count anew, as of this packet.
	const jump = 3000
	switch d := int64(int16(seq - uint16(r.highest))); {
	case d > jump || d < -jump:
		r.allLost = r.lost()
		r.first = int64(seq) + 1<<16
		r.highest = r.first
		r.packets, r.expectedBefore, r.receivedBefore = 0, 0, 0
		r.timed = false
	case d > 0:
		r.highest += d
	}
	r.last = now
	r.packets++
	r.allPackets++
	r.allBytes += uint64(size)
	if !timed {
		return
	}
	arrival := now.Unix()*int64(r.clock) + int64(now.Nanosecond())*int64(r.clock)/int64(time.Second)
	transit := int64(int32(uint32(arrival) - timestamp))
	if r.timed {
		d := float64(int32(transit - r.transit))
		r.jitter += (max(d, -d) - r.jitter) / 16
	}
	r.transit, r.timed = transit, true
}

func (r *reception) expected() uint64 {
	if !r.begun || r.first < 0 {
		return 0
	}
	return uint64(r.highest - r.first + 1)
}

// lost returns how many packets are missing so far. Duplicates make up for
// losses, as RFC 3550 wants it.
func (r *reception) lost() uint64 {
	if e := r.expected(); e > r.packets {
		return r.allLost + e - r.packets
	}
	return r.allLost
}

// jitterTime returns the interarrival jitter.
func (r *reception) jitterTime() time.Duration {
	if r.clock == 0 {
		return 0
	}
	return time.Duration(r.jitter * float64(time.Second) / float64(r.clock))
}

// heardReport takes note of a sender report.
func (r *reception) heardReport(sr *rtcp.SenderReport, now time.Time) {
	r.senderReport = uint32(sr.NTPTime >> 16)
	r.reportedAt = now
}

// report makes a report block and begins a new interval.
func (r *reception) report(now time.Time) rtcp.ReceptionReport {
	expected, got := r.expected(), r.packets
	interval := expected - r.expectedBefore
	missing := int64(interval) - int64(got-r.receivedBefore)
	r.expectedBefore, r.receivedBefore = expected, got
	r.fraction = 0
	if interval > 0 && missing > 0 {
		r.fraction = uint8(min(missing*256/int64(interval), 255))
	}
	block := rtcp.ReceptionReport{
		SSRC: r.ssrc, FractionLost: r.fraction,
		TotalLost:          uint32(min(r.lost()-r.othersLost, 1<<23-1)),
		LastSequenceNumber: uint32(r.highest - 1<<16),
		Jitter:             uint32(r.jitter),
	}
	if r.senderReport != 0 {
		block.LastSenderReport = r.senderReport
		block.Delay = uint32(now.Sub(r.reportedAt) * 65536 / time.Second)
	}
	return block
}

// ntpTime returns t as NTP writes it: seconds since 1900 and their fraction
// (RFC 3550 section 4).
func ntpTime(t time.Time) uint64 {
	const epoch = 2208988800
	seconds := uint64(t.Unix() + epoch)
	return seconds<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// roundTrip returns the time a report block has travelled forth and back (RFC
// 3550 section 6.4.1), zero if the peer has not seen a report of ours yet.
func roundTrip(block *rtcp.ReceptionReport, now time.Time) time.Duration {
	if block.LastSenderReport == 0 {
		return 0
	}
	units := int32(uint32(ntpTime(now)>>16) - block.LastSenderReport - block.Delay)
	return max(time.Duration(units)*time.Second/65536, 0)
}
