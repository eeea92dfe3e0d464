package load

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/tone"
)

const (
	// MaxTalkers is how many of a room are told apart, by tones. A telephone passes what lies
	// between 300 and 3400 Hz, and speech is weakest at the upper end of it.
	MaxTalkers = 8
	firstTone  = 1850.0 // Hz
	toneStep   = 190.0

	// A talker's tone is audible beside speech without hiding it.
	toneLevel = -30.0 // dBFS

	// noisePeak is what a listener's room sounds like: -62 dBFS at most.
	noisePeak = 26

	loopSeconds  = 10
	packetsLoop  = loopSeconds * 50
	audioBitrate = 32_000 // bit/s of Opus
)

// toneOf is the frequency of talker i, in Hz.
func toneOf(i int) float64 { return firstTone + toneStep*float64(i) }

// A loop is encoded sound of 10 s, sent again and again. Immutable, shared.
type loop struct {
	packets [][]byte
	levels  []uint8 // -dBov, RFC 6464
}

// newLoop encodes what fill makes.
func newLoop(codec *codecs.Audio, fill func(pcm.Frame)) (*loop, error) {
	enc, err := codec.NewEncoder(codecs.AudioOptions{Bitrate: audioBitrate})
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	defer enc.Close()
	l := &loop{}
	frame := make(pcm.Frame, codec.Format.Rate/50)
	for range packetsLoop {
		fill(frame)
		packet, err := enc.Encode(nil, frame)
		if err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
		l.packets, l.levels = append(l.packets, packet), append(l.levels, levelOf(frame))
	}
	return l, nil
}

// talk is a voice that never stops, with the tone of talker i.
func talk(rate, i int) func(pcm.Frame) {
	speech, mark := tone.NewSpeech(rate, uint64(i)+1), tone.New(rate, toneLevel, toneOf(i))
	var t pcm.Frame
	return func(f pcm.Frame) {
		t = append(t[:0], f...)
		speech.Read(f)
		mark.Read(t)
		for j := range f {
			f[j] = int16(max(math.MinInt16, min(math.MaxInt16, int(f[j])+int(t[j]))))
		}
	}
}

// noise is a quiet room.
func noise(f pcm.Frame) {
	for i := range f {
		f[i] = int16(rand.IntN(2*noisePeak+1) - noisePeak)
	}
}

// levelOf is the level of a frame as RFC 6464 counts it.
func levelOf(f pcm.Frame) uint8 {
	var power float64
	for _, v := range f {
		power += float64(v) * float64(v) / (1 << 30)
	}
	if power == 0 {
		return 127
	}
	return uint8(min(126, max(0, -10*math.Log10(power/float64(len(f))))))
}

// sounds are the loops of a Spec.
type sounds struct {
	talkers []*loop
	quiet   *loop
}

func newSounds(s *Spec) (*sounds, error) {
	codec, out := AudioCodec(s.Audio), &sounds{}
	for i := range s.Talkers {
		l, err := newLoop(codec, talk(codec.Format.Rate, i))
		if err != nil {
			return nil, err
		}
		out.talkers = append(out.talkers, l)
	}
	var err error
	out.quiet, err = newLoop(codec, noise)
	return out, err
}
