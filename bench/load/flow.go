package load

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/srtp/v3"

	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
)

const (
	headerSize = 12 // of RTP without extensions (RFC 3550 section 5.1)
	mtu        = 1500

	// reportEvery is how often a receiver reports (RFC 3550 section 6.2).
	reportEvery = 5 * time.Second
)

// A flow is one m-line of a call, in both directions.
type flow struct {
	stream *sdp.Stream
	cname  string

	// By SIP a flow has sockets of its own; a browser's has none.
	media, control socket

	// How datagrams leave. They report false for one that is lost.
	write, writeControl func([]byte) bool

	// Sending, of the sending goroutine.
	ssrc   uint32
	seq    uint16
	seal   *srtp.Context // nil: plain; RTCP as well
	buf    [mtu + 128]byte
	unsent atomic.Int64 // datagrams that the kernel did not take

	// Receiving.
	from      atomic.Uint32 // SSRC of the server
	highest   atomic.Uint32 // sequence number received last, extended
	keyWanted atomic.Bool
	limit     atomic.Pointer[limit] // that the server asks for and nobody has obeyed yet
	open      *srtp.Context         // of RTCP; nil: plain

	mu    sync.Mutex // guards what follows
	in    counts
	began counts   // as of the beginning of the window
	ended counts   // as of its end
	kept  []packet // see keep
	keep  int      // most packets to keep; beyond that the oldest go
}

// counts is what has arrived.
type counts struct {
	packets, bytes int
	gaps           int // packets missing by sequence number
	pictures       int // distinct timestamps
	timestamp      uint32
	seq            uint16
}

// A packet is one that was kept.
type packet struct {
	at   time.Time
	data []byte
}

func newFlow(cname string) *flow {
	return &flow{cname: cname, ssrc: rand.Uint32(), seq: uint16(rand.Uint32N(1 << 15))}
}

// connect begins to use what was agreed on.
func (f *flow) connect(s *sdp.Stream) error {
	f.stream = s
	if err := f.media.connect(s.RTP); err != nil {
		return fmt.Errorf("load: connect %v: %w", s.RTP, err)
	}
	if err := f.control.connect(s.RTCP); err != nil {
		return fmt.Errorf("load: connect %v: %w", s.RTCP, err)
	}
	f.write, f.writeControl = f.media.write, f.control.write
	if s.Crypto == nil {
		return nil
	}
	var err error
	if f.seal, err = newContext(s.Crypto.Send); err != nil {
		return err
	}
	f.open, err = newContext(s.Crypto.Recv[0])
	return err
}

// suite is the only one that generators offer: the one that every phone has.
const suite = rtp.AES128CM80

// newContext returns a context for one direction of [suite].
func newContext(k rtp.Key) (*srtp.Context, error) {
	const key = 16
	return srtp.CreateContext(k.Master[:key], k.Master[key:], srtp.ProtectionProfileAes128CmHmacSha1_80)
}

// send writes one packet; extension, of 4n bytes with its header, may be nil.
func (f *flow) send(ssrc uint32, seq uint16, payloadType uint8, marker bool, timestamp uint32, extension, payload []byte) {
	b := f.buf[:headerSize]
	b[0], b[1] = 2<<6, payloadType
	if marker {
		b[1] |= 1 << 7
	}
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], timestamp)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	if extension != nil {
		b[0] |= 1 << 4
		b = append(b, extension...)
	}
	b = append(b, payload...)
	if f.seal != nil {
		var err error
		if b, err = f.seal.EncryptRTP(b[:0], b, nil); err != nil {
			f.unsent.Add(1)
			return
		}
	}
	if !f.write(b) {
		f.unsent.Add(1)
	}
}

// receive counts one datagram of the media socket.
func (f *flow) receive(b []byte, at time.Time) {
	if len(b) < headerSize || b[1] >= 192 && b[1] <= 223 {
		return
	}
	seq, timestamp := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:])
	f.mu.Lock()
	defer f.mu.Unlock()
	c := &f.in
	if c.packets == 0 {
		f.from.Store(binary.BigEndian.Uint32(b[8:]))
		f.highest.Store(uint32(seq))
	} else if d := int16(seq - c.seq); d > 0 {
		c.gaps += int(d) - 1
		f.highest.Add(uint32(d))
	}
	if c.packets == 0 || timestamp != c.timestamp {
		c.pictures++
	}
	c.packets++
	c.bytes += len(b)
	c.seq, c.timestamp = seq, timestamp
	if f.keep > 0 {
		f.remember(b, at)
	}
}

// remember keeps a copy of a packet.
func (f *flow) remember(b []byte, at time.Time) {
	if len(f.kept) < f.keep {
		f.kept = append(f.kept, packet{at, append([]byte(nil), b...)})
		return
	}
	i := (f.in.packets - 1) % f.keep
	f.kept[i].at, f.kept[i].data = at, append(f.kept[i].data[:0], b...)
}

// receiveControl takes what came to the port for RTCP.
func (f *flow) receiveControl(b []byte) {
	if f.open != nil {
		var err error
		if b, err = f.open.DecryptRTCP(nil, b, nil); err != nil {
			return
		}
	}
	if packets, err := rtcp.Unmarshal(b); err == nil {
		f.obey(packets)
	}
}

// obey looks for requests of a key frame and of a bitrate.
func (f *flow) obey(packets []rtcp.Packet) {
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			f.keyWanted.Store(true)
		case *rtcp.RawPacket: // what pion does not know
			if l := newLimit(*p, f.ssrc); l != nil {
				f.limit.Store(l)
			}
		}
	}
}

// report tells the server what arrived, and more. It says nothing of losses: on
// loopback, if there are any, the run fails.
func (f *flow) report(more ...rtcp.Packet) {
	if f.writeControl == nil {
		return
	}
	b, err := rtcp.Marshal(append([]rtcp.Packet{
		&rtcp.ReceiverReport{SSRC: f.ssrc, Reports: []rtcp.ReceptionReport{{
			SSRC: f.from.Load(), LastSequenceNumber: f.highest.Load(),
		}}},
		&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
			Source: f.ssrc, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: f.cname}},
		}}},
	}, more...))
	if err == nil && f.seal != nil {
		b, err = f.seal.EncryptRTCP(nil, b, nil)
	}
	if err == nil {
		f.writeControl(b)
	}
}

func (f *flow) close() {
	if f.hasSockets() {
		f.media.close()
		f.control.close()
	}
}

func (f *flow) hasSockets() bool { return f.media.port != 0 }

// mark notes what has arrived at the beginning or the end of the window.
func (f *flow) mark(begin bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if begin {
		f.began = f.in
	} else {
		f.ended = f.in
	}
}
