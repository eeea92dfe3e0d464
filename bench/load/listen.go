package load

import (
	"bytes"
	"fmt"
	"slices"

	pion "github.com/pion/rtp"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/tone"
)

const (
	// keptAudio is how much of what a member hears is kept: the last 4 s.
	keptAudio = 200

	// A tone is there if it stands out of its surroundings by so much.
	standsOut = 10.0 // dB

	// A tone that is weaker than it was sent by so much is an artefact of codecs
	// between the others.
	artefact = 18.0 // dB
)

// listen decodes what every member heard last: it must contain the tones of all
// other talkers of the room, and not its own.
func (g *generator) listen(r *Report) {
	for _, m := range g.members {
		heard, err := m.hear()
		if err != nil {
			r.complain("%s %s: what it heard cannot be decoded: %v", m.room, m.name, err)
			continue
		}
		r.Audio.Listened++
		rate := AudioCodec(g.spec.Audio).Format.Rate
		for i := range g.spec.Talkers {
			level, over := prominence(heard, rate, i)
			switch own := i == m.index; {
			case own && over > standsOut/2 && level > toneLevel-artefact:
				r.Audio.OwnHeard++
				r.complain("%s %s hears itself: its tone has %.0f dBFS and stands out by %.0f dB", m.room, m.name, level, over)
			case own:
			case over < standsOut:
				r.Audio.TonesMissing++
				r.complain("%s %s does not hear talker %d: its tone stands out by %.0f dB", m.room, m.name, i, over)
			default:
				r.Audio.TonesHeard++
			}
		}
	}
}

// prominence returns the level of the tone of talker i, in dBFS, and by how much
// it is louder than what is beside it, in dB.
func prominence(heard pcm.Frame, rate, i int) (level, over float64) {
	f := toneOf(i)
	var beside []float64
	for d := 15.0; d < toneStep/2; d += 5 {
		beside = append(beside, f-d, f+d)
	}
	levels := tone.Detect(heard, rate, beside...)
	slices.Sort(levels)
	level = tone.Detect(heard, rate, f)[0]
	return level, level - levels[len(levels)/2]
}

// hear decodes the packets that were kept of the audio stream.
func (m *member) hear() (pcm.Frame, error) {
	packets, err := m.audio.unseal()
	if err != nil {
		return nil, err
	}
	codec := m.audio.stream.Audio.Codec
	d, err := codec.NewDecoder()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	var heard pcm.Frame
	frame := make(pcm.Frame, 0, codec.Format.Rate/50*6)
	for _, p := range packets {
		if p.PayloadType != m.audio.stream.RecvType {
			continue
		}
		if frame, err = d.Decode(frame[:0], p.Payload); err != nil {
			return nil, fmt.Errorf("packet %d: %w", p.SequenceNumber, err)
		}
		heard = append(heard, frame...)
	}
	if want := len(packets) / 2 * codec.Format.Rate / 50; len(heard) < want || len(packets) == 0 {
		return nil, fmt.Errorf("%w: %d packets of audio", codecs.ErrCorrupt, len(packets))
	}
	return heard, nil
}

// unseal parses, and decrypts, what was kept, in the order of arrival.
func (f *flow) unseal() ([]*pion.Packet, error) {
	out := make([]*pion.Packet, 0, len(f.kept))
	var open interface {
		DecryptRTP(dst, encrypted []byte, header *pion.Header) ([]byte, error)
	}
	if f.stream.Crypto != nil {
		// A context of its own: packets of before have not been decrypted. Whether
		// the numbers have wrapped meanwhile is of no concern: they begin in the
		// lower half, and a measurement is short.
		c, err := newContext(f.stream.Crypto.Recv[0])
		if err != nil {
			return nil, err
		}
		open = c
	}
	for _, k := range f.inOrder() {
		b := bytes.Clone(k.data)
		if open != nil {
			var err error
			if b, err = open.DecryptRTP(nil, b, nil); err != nil {
				return nil, err
			}
		}
		p := &pion.Packet{}
		if err := p.Unmarshal(b); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// inOrder returns what was kept, the oldest first.
func (f *flow) inOrder() []packet {
	if len(f.kept) < f.keep {
		return f.kept
	}
	oldest := f.in.packets % f.keep
	return slices.Concat(f.kept[oldest:], f.kept[:oldest])
}
