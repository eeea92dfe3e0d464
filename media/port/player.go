package port

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/jitter"
	"github.com/skybridge-media/skybridge/media/mix"
)

const (
	// Concealment keeps its loudness for fadeAfter and is silent after fadeOver:
	// what was made up for longer than a syllable sounds like a robot.
	fadeAfter = 100 * time.Millisecond
	fadeOver  = 200 * time.Millisecond

	// outdated is after how many Ticks unheard the state of a decoder no longer
	// fits what it is given. If that state is speech, half of the next Tick
	// would be noise: the decoder begins anew. If it is quiet, it fits better
	// than none.
	outdated = 2

	// preparations is how often a decoder that missed what was before decodes
	// the first packet of CELT before that counts. The stream says only by how
	// much the energy of each band differs from half of what it was (RFC 6716
	// section 4.3.2.1). A fresh decoder takes noise for 10 to 15 dB louder than
	// it is, one that has heard noise takes a voice for as much softer, and those
	// who are listened to now and then are judged by that. Each time leaves half
	// of the error in dB.
	preparations = 4

	// risen is by how many dB a sound must be louder than when it was decoded
	// last to be more than noise, so that it is worth the preparations.
	risen = 3

	// quietState is the level in -dBov from which on a decoder's state is quiet.
	quietState = 50

	// release is after how many Ticks unheard a decoder is freed: 10 s. Making
	// one of Opus costs as much as decoding four Ticks.
	release = 500
)

// A player turns pieces from the de-jitter buffer into mono at the codec's
// rate. It decodes only what is asked for. Not safe for concurrent use.
type player struct {
	codec *codecs.Audio
	log   *slog.Logger

	decoder codecs.AudioDecoder // nil until something is decoded
	fresh   bool                // decoder has decoded nothing yet
	before  uint8               // level when its state became outdated; 0 is none
	broken  bool                // the codec cannot be had

	pieces []piece // of the Tick announced last
	data   []byte  // their payloads
	ahead  int     // samples that they yield beyond the Tick
	taken  bool    // announced and not read yet
	unread int     // Ticks in a row that nobody read

	lost  int // samples concealed in a row
	level bridge.AudioTick
	fifo  pcm.Frame // decoded, not played yet
	raw   pcm.Frame // scratch; the piece decoded last
}

// A piece is a jitter.Piece whose payload is kept.
type piece struct {
	kind     jitter.Kind
	samples  int
	from, to int // payload in data
	lost     int // samples concealed in a row before it
	merge    bool
}

func newPlayer(codec *codecs.Audio, log *slog.Logger) *player {
	return &player{codec: codec, log: log}
}

// take keeps what is due in this Tick and says what is known about it. ahead
// is how many units of the RTP clock the pieces hold beyond the Tick.
func (p *player) take(pieces []jitter.Piece, ahead int) bridge.AudioTick {
	if p.taken {
		p.unread++
		p.fifo = p.fifo[:0]
		if p.unread == release {
			p.close()
		}
	}
	p.taken = true
	p.pieces, p.data = p.pieces[:0], p.data[:0]
	p.ahead = p.samples(ahead)
	if len(pieces) > 0 {
		p.level = p.judge(pieces)
	} // else the packet of the Tick before goes on
	for _, in := range pieces {
		out := piece{kind: in.Kind, samples: p.samples(in.Duration), from: len(p.data), lost: p.lost, merge: in.Merge}
		p.data = append(p.data, in.Payload...)
		out.to = len(p.data)
		p.pieces = append(p.pieces, out)
		switch in.Kind {
		case jitter.Conceal, jitter.Recover:
			p.lost += out.samples
		case jitter.Play:
			p.lost = 0
		}
	}
	return p.level
}

// judge says whether pieces are worth decoding, and how loud they are.
func (p *player) judge(pieces []jitter.Piece) bridge.AudioTick {
	t := bridge.AudioTick{Rate: p.codec.Format.Rate, Level: jitter.MaxLevel, HasLevel: true, Quiet: true}
	for _, in := range pieces {
		switch in.Kind {
		case jitter.Play:
			switch {
			case in.Level < 0:
				t.Voice, t.HasLevel = true, false
				t.Quiet = t.Quiet && p.pauses(in.Payload)
			case in.Level < jitter.MaxLevel:
				t.Voice = true
				t.Level = min(t.Level, uint8(in.Level))
			}
		case jitter.Conceal, jitter.Recover:
			if p.level.Voice && p.lost < p.lasting(fadeOver) {
				t.Voice = true
				t.HasLevel = t.HasLevel && p.level.HasLevel
				t.Quiet = t.Quiet && (p.level.HasLevel || p.level.Quiet)
				t.Level = min(t.Level, p.level.Level)
			}
		}
	}
	if t.HasLevel {
		t.Quiet = false
	} else {
		t.Level = 0
	}
	return t
}

// pauses reports whether the sender's encoder has found no speech, where the
// payload tells.
func (p *player) pauses(payload []byte) bool {
	return p.codec.Name == "opus" && opus.Pauses(payload)
}

// read decodes what take announced into dst, a Tick at the codec's rate.
func (p *player) read(dst pcm.Frame) {
	if !p.taken {
		clear(dst)
		return
	}
	if p.unread > outdated {
		p.renew()
	}
	p.taken, p.unread = false, 0
	for _, piece := range p.pieces {
		p.decode(piece)
	}
	// A packet of which nobody heard the beginning leaves less than is wanted,
	// and one that lies about its length more.
	want := len(dst) + p.ahead
	if n := want - len(p.fifo); n > 0 {
		p.fifo = append(p.fifo, make(pcm.Frame, n)...)
		copy(p.fifo[n:], p.fifo)
		clear(p.fifo[:n])
	}
	if n := len(p.fifo) - want; n > 0 {
		p.drop(n)
	}
	copy(dst, p.fifo)
	p.drop(len(dst))
}

// drop removes the oldest n samples.
func (p *player) drop(n int) {
	copy(p.fifo, p.fifo[n:])
	p.fifo = p.fifo[:len(p.fifo)-n]
}

// decode appends a piece to fifo.
func (p *player) decode(in piece) {
	p.raw = p.raw[:0]
	payload := p.data[in.from:in.to]
	asItIs := false // its length is that of the packet
	if p.open() {
		switch in.kind {
		case jitter.Play:
			asItIs = p.play(payload)
		case jitter.Recover:
			p.recover(payload)
		case jitter.Conceal:
			p.conceal()
		}
	}
	p.mono()
	if !asItIs {
		p.exactly(in.samples)
	}
	if in.kind == jitter.Conceal || in.kind == jitter.Recover {
		fade(p.raw, in.lost, p.lasting(fadeAfter), p.lasting(fadeOver))
	}
	if in.merge {
		blend(p.fifo, p.raw)
		return
	}
	p.fifo = append(p.fifo, p.raw...)
}

// play decodes a packet that is there and reports whether that went well.
func (p *player) play(payload []byte) bool {
	before := p.before
	unfit := p.fresh || before > 0
	p.fresh, p.before = false, 0
	decode := func() (pcm.Frame, error) { return p.decoder.Decode(p.raw[:0], payload) }
	ok := p.attempt(decode)
	if !ok || !unfit || p.codec.Name != "opus" || !opus.CELT(payload) {
		return ok
	}
	if before > 0 && mix.Level(p.raw)+risen > before {
		return ok
	}
	for range preparations {
		ok = ok && p.attempt(decode)
	}
	return ok
}

// attempt runs the decoder. It conceals what that refuses and reports false.
func (p *player) attempt(decode func() (pcm.Frame, error)) bool {
	frame, err := decode()
	switch {
	case err == nil:
		p.raw = frame
		return true
	case errors.Is(err, codecs.ErrCorrupt):
		p.conceal()
	default:
		p.fail(err)
	}
	return false
}

func (p *player) recover(next []byte) {
	r, ok := p.decoder.(codecs.Recoverer)
	if !ok {
		p.conceal()
		return
	}
	p.attempt(func() (pcm.Frame, error) { return r.Recover(p.raw, next) })
}

func (p *player) conceal() {
	frame, err := p.decoder.Decode(p.raw, nil)
	if err != nil {
		p.fail(err)
		return
	}
	p.raw = frame
}

// fail gives the decoder up; the next Tick begins with a new one.
func (p *player) fail(err error) {
	p.log.Error("audio decoder failed", "codec", p.codec.Name, "err", err)
	p.raw = p.raw[:0]
	p.close()
}

// open makes the decoder if there is none, and what else decoding needs. Most
// participants never say anything.
func (p *player) open() bool {
	if p.raw == nil {
		tick := p.codec.Format.Samples20() // of both channels
		p.fifo = slices.Grow(p.fifo, 8*tick)
		p.raw = make(pcm.Frame, 0, 6*tick)
	}
	if p.decoder != nil || p.broken {
		return !p.broken
	}
	d, err := p.codec.NewDecoder()
	if err != nil {
		p.broken = true
		p.log.Error("no audio decoder", "codec", p.codec.Name, "err", err)
		return false
	}
	p.decoder, p.fresh = d, true
	return true
}

// renew prepares for something that the decoder did not hear the beginning of.
func (p *player) renew() {
	if p.decoder == nil {
		return
	}
	if level := mix.Level(p.raw); level >= quietState {
		p.before = level
		return
	}
	p.fresh = true
	if r, ok := p.decoder.(codecs.Resetter); !ok || r.Reset() != nil {
		p.close()
	}
}

// close frees the decoder.
func (p *player) close() {
	if p.decoder != nil {
		_ = p.decoder.Close() // frees memory; there is nothing to be done about an error
		p.decoder = nil
	}
}

// mono mixes the channels of raw down.
func (p *player) mono() {
	if p.codec.Format.Channels != 2 {
		return
	}
	n := len(p.raw) / 2
	for i := range n {
		p.raw[i] = int16((int32(p.raw[2*i]) + int32(p.raw[2*i+1])) / 2)
	}
	p.raw = p.raw[:n]
}

// exactly cuts or fills raw to so many samples.
func (p *player) exactly(n int) {
	for len(p.raw) < n {
		p.raw = append(p.raw, 0)
	}
	p.raw = p.raw[:n]
}

// samples converts units of the RTP clock to samples.
func (p *player) samples(units int) int { return units * p.codec.Format.Rate / p.codec.Clock }

// lasting converts a time to samples.
func (p *player) lasting(d time.Duration) int {
	return int(d.Milliseconds()) * p.codec.Format.Rate / 1000
}

// fade lets concealment die away between after and over samples of it. lost is
// how much was concealed before frame.
func fade(frame pcm.Frame, lost, after, over int) {
	if lost+len(frame) <= after {
		return
	}
	for i := range frame {
		left := min(max(over-lost-i, 0), over-after)
		frame[i] = int16(int(frame[i]) * left / (over - after))
	}
}

// blend passes from the end of old to the end of next.
func blend(old, next pcm.Frame) {
	n := min(len(old), len(next))
	old, next = old[len(old)-n:], next[len(next)-n:]
	for i := range n {
		old[i] = int16((int(old[i])*(n-i) + int(next[i])*i) / n)
	}
}
