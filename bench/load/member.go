package load

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/media/sdp"
)

// A member is one call.
type member struct {
	room  string
	name  string
	index int // within the room

	audio, video *flow // video may be nil
	call         call
	spec         *Spec

	// Audio, touched by the sending goroutine.
	sound     *loop
	talks     bool
	at        int // in sound
	timestamp uint32

	// Video, likewise.
	clips   []*clip // one for each layer; nil: sends none
	version int     // which of them is sent by those who send one at a time
	limits  int     // times that the server asked for another bitrate
	upper   []layer // of a simulcast, all but the first
	pos     int     // of the next picture
	clock   uint32  // RTP timestamp of the next picture
	sent    []sent
}

// A call is what ends when its member hangs up.
type call interface{ hangUp() error }

// A layer is a simulcast stream of its own (RFC 8853 section 3) beside the first,
// which the flow itself is.
type layer struct {
	ssrc uint32
	seq  uint16
}

// sent is which picture of the clip was sent when, and in which version.
type sent struct {
	at           time.Time
	pos, version int
}

func newMember(spec *Spec, room, index int) (*member, error) {
	m := &member{
		spec: spec, room: fmt.Sprintf("%s%d", spec.Prefix, room), index: index, name: fmt.Sprintf("load %d", index),
		timestamp: rand.Uint32(), clock: rand.Uint32(), at: rand.IntN(packetsLoop),
	}
	if spec.Web != "" {
		if m.audio = newFlow(m.name); spec.Video != nil {
			m.video = newFlow(m.name)
		}
		return m, nil
	}
	var err error
	if m.audio, err = m.open(); err == nil && spec.Video != nil {
		m.video, err = m.open()
	}
	if err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// open makes a flow with sockets.
func (m *member) open() (*flow, error) {
	f := newFlow(m.name)
	var err error
	if f.media, err = openSocket(m.spec.Server.Addr()); err != nil {
		return nil, err
	}
	if f.control, err = openSocket(m.spec.Server.Addr()); err != nil {
		f.media.close()
		return nil, err
	}
	return f, nil
}

// capabilities are what m offers.
func (m *member) capabilities(spec *Spec) *sdp.Capabilities {
	c := &sdp.Capabilities{Audio: []*codecs.Audio{AudioCodec(spec.Audio)}, Suites: []rtp.Suite{suite}}
	if spec.Secure {
		c.Crypto = sdp.CryptoRequired
	}
	if v := spec.Video; v != nil {
		c.Video = []*codecs.Video{VideoCodec(v.Codec)}
		c.Width, c.Height, c.FrameRate, c.VideoBitrate = v.Width, v.Height, v.FrameRate, v.Bitrate
	}
	return c
}

// local is where m receives.
func (m *member) local(addr netip.Addr) sdp.Local {
	end := func(f *flow) sdp.Endpoint {
		return sdp.Endpoint{Port: f.media.port, RTCPPort: f.control.port, SSRC: f.ssrc, CNAME: f.cname}
	}
	l := sdp.Local{Address: addr, Audio: end(m.audio)}
	if m.video != nil {
		l.Video = end(m.video)
	}
	return l
}

// connect begins to use what was agreed on.
func (m *member) connect(agreed *sdp.Agreement) error {
	audio := agreed.Stream(sdp.Audio)
	if audio == nil {
		return fmt.Errorf("load: %s: the server refused audio", m.room)
	}
	if err := m.audio.connect(audio); err != nil || m.video == nil {
		return err
	}
	video := agreed.Stream(sdp.Video)
	if video == nil {
		return fmt.Errorf("load: %s: the server refused video", m.room)
	}
	if m.spec.Video.Senders == TMMBR && !video.Video.TMMBR {
		return fmt.Errorf("load: %s: the server does not ask for bitrates", m.room)
	}
	return m.video.connect(video)
}

// speak sends the next 20 ms.
func (m *member) speak() {
	f, s := m.audio, m.audio.stream
	var extension []byte
	var room [8]byte
	if id := s.Audio.LevelExt; id != 0 && m.spec.Levels {
		// One-byte header extension (RFC 8285 section 4.2), one word.
		room = [8]byte{0xbe, 0xde, 0, 1, id << 4, m.sound.levels[m.at]}
		if m.talks {
			room[5] |= 1 << 7
		}
		extension = room[:]
	}
	f.send(f.ssrc, f.seq, s.SendType, false, m.timestamp, extension, m.sound.packets[m.at])
	f.seq++
	m.timestamp += uint32(s.Audio.Codec.Clock / 50)
	m.at = (m.at + 1) % len(m.sound.packets)
}

// show sends the next picture.
func (m *member) show(now time.Time) {
	f, s := m.video, m.video.stream
	if f.keyWanted.Swap(false) {
		m.pos = 0
	}
	m.obey()
	for i, c := range m.sending(m.version) {
		ssrc, seq := f.ssrc, &f.seq
		if i > 0 {
			ssrc, seq = m.upper[i-1].ssrc, &m.upper[i-1].seq
		}
		var name []byte
		if len(m.upper) > 0 && len(m.sent) < named {
			name = ridExtension(i)
		}
		payloads := c.payloads[m.pos]
		for j, p := range payloads {
			f.send(ssrc, *seq, s.SendType, j == len(payloads)-1, m.clock, name, p)
			*seq++
		}
	}
	m.sent = append(m.sent, sent{now, m.pos, m.version})
	m.clock += uint32(90_000 / m.spec.Video.FrameRate)
	m.pos = (m.pos + 1) % len(m.clips[0].payloads)
}

// sending are the clips that are sent at the same time, given the version.
func (m *member) sending(version int) []*clip {
	if m.spec.Video.Senders == TMMBR {
		return m.clips[version:][:1]
	}
	return m.clips
}

// flows are the streams of m.
func (m *member) flows() []*flow {
	if m.video == nil {
		return []*flow{m.audio}
	}
	return []*flow{m.audio, m.video}
}

func (m *member) close() {
	for _, f := range []*flow{m.audio, m.video} {
		if f != nil {
			f.close()
		}
	}
}
