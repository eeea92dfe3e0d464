package rtp

import (
	"cmp"
	"sync"

	pion "github.com/pion/rtp"
)

var _ BatchWriter = (*Session)(nil)

// burstSize is how many packets are handed to the kernel at once: most pictures.
const burstSize = 24

// A burst is what outgoing packets of a picture are built in.
type burst struct {
	header pion.Header
	bufs   [burstSize][maxDatagram + cryptoOverhead]byte
	out    [burstSize][]byte
}

var bursts = sync.Pool{New: func() any { return new(burst) }}

// WriteRTPBatch implements [BatchWriter].
func (s *Session) WriteRTPBatch(h *pion.Header, packets []Packet) error {
	if len(packets) == 1 {
		one := *h
		one.SequenceNumber, one.Timestamp, one.Marker = packets[0].Sequence, packets[0].Timestamp, packets[0].Marker
		return s.WriteRTP(&one, packets[0].Payload)
	}
	r := s.route.Load()
	if r == nil || !r.rtp.IsValid() {
		for range packets {
			s.drop(dropUnroutable)
		}
		return nil
	}
	b := bursts.Get().(*burst)
	defer bursts.Put(b)
	b.header = *h
	var first error
	for len(packets) > 0 {
		n := 0
		for n < burstSize && len(packets) > 0 {
			p := &packets[0]
			packets = packets[1:]
			b.header.SequenceNumber, b.header.Timestamp, b.header.Marker = p.Sequence, p.Timestamp, p.Marker
			var err error
			if b.out[n], err = s.pack(b.bufs[n][:], &b.header, p.Payload); err != nil {
				first = cmp.Or(first, err)
				continue
			}
			n++
		}
		first = cmp.Or(first, s.sendRuns(b.out[:n], r))
	}
	return first
}

// sendRuns sends datagrams in order, and runs of them as one where the kernel
// can split them again: all of a run are of one size, except that the last may
// be smaller.
func (s *Session) sendRuns(out [][]byte, r *route) error {
	var first error
	for len(out) > 0 {
		n, size := 1, len(out[0])
		for n < len(out) && len(out[n]) <= len(out[0]) && size+len(out[n]) <= maxRun {
			size += len(out[n])
			n++
			if len(out[n-1]) < len(out[0]) {
				break
			}
		}
		run := out[:n]
		out = out[n:]
		if n > 1 && s.pair.rtp.sendRun(run, r.rtp) == nil {
			for _, b := range run {
				s.count.rtpOut.add(len(b))
			}
			continue
		}
		for _, b := range run {
			first = cmp.Or(first, s.send(s.pair.rtp, b, r.rtp, &s.count.rtpOut))
		}
	}
	return first
}

// maxRun is the most that the kernel splits, in bytes: a UDP datagram in an
// IPv4 or IPv6 packet.
const maxRun = 65535 - 8 - 40
