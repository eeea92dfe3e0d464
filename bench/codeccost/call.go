package codeccost

import (
	"fmt"
	"sync"
	"time"

	"github.com/skybridge-media/skybridge/bench/clip"
	"github.com/skybridge-media/skybridge/codecs"
)

// A Call is one of RoomSize equal ones in a room.
type Call struct {
	Profile  string // "audio", or the name of one of [Profiles]: its video alone
	Mode     string // "personal", "meeting" or "auditorium"
	Codec    string // encoding name as in SDP
	RoomSize int

	// Talkers is how many are heard in a "meeting" of audio; zero means 3.
	Talkers int

	// Audio tunes the encoders of an audio call.
	Audio codecs.AudioOptions
}

// A Meter says what calls cost, and measures each codec only once. Safe for
// concurrent use; one measurement runs at a time.
type Meter struct {
	film   *clip.Film
	length time.Duration // of the speech

	mu     sync.Mutex // guards what follows
	scaled map[Profile]*clip.Film
	video  map[videoKey]picture
	audio  map[audioKey]frame
}

type videoKey struct {
	codec   *codecs.Video
	profile Profile
}

type audioKey struct {
	codec *codecs.Audio
	o     codecs.AudioOptions
}

// A frame is what 20 ms of sound cost.
type frame struct{ encode, decode time.Duration }

// NewMeter returns a meter that shows film, of any size, and speaks for as long.
func NewMeter(film *clip.Film) *Meter {
	return &Meter{
		film: film, length: time.Duration(len(film.Pictures)) * time.Second / clip.FrameRate,
		scaled: map[Profile]*clip.Film{}, video: map[videoKey]picture{}, audio: map[audioKey]frame{},
	}
}

// Cost returns what the codecs of c cost, in CPU seconds per second and call.
//
//   - personal: everybody is decoded, and is sent an encode of their own;
//   - meeting: of video everybody is decoded, and one encode is for all; of audio
//     the talkers are decoded, each is sent an encode without themself, and one
//     more is for all the others;
//   - auditorium: one is decoded, and one encode is for all.
func (m *Meter) Cost(c Call) (float64, error) {
	if c.RoomSize < 1 {
		return 0, fmt.Errorf("codeccost: a room of %d", c.RoomSize)
	}
	encode, decode, err := m.second(c)
	if err != nil {
		return 0, err
	}
	n := float64(c.RoomSize)
	decodes, encodes := n, n
	switch {
	case c.Mode == "personal":
	case c.Mode == "meeting" && c.Profile == "audio":
		k := float64(c.Talkers)
		if k == 0 {
			k = talkers
		}
		decodes, encodes = min(k, n), min(k+1, n)
	case c.Mode == "meeting":
		encodes = 1
	case c.Mode == "auditorium":
		decodes, encodes = 1, 1
	default:
		return 0, fmt.Errorf("codeccost: no mode %q", c.Mode)
	}
	return (decodes*decode + encodes*encode) / n, nil
}

// second returns the CPU seconds of one stream's encode and decode for a second.
func (m *Meter) second(c Call) (encode, decode float64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.Profile == "audio" {
		codec, err := audioCodec(c.Codec)
		if err != nil {
			return 0, 0, err
		}
		f, err := m.sound(codec, c.Audio)
		return 50 * f.encode.Seconds(), 50 * f.decode.Seconds(), err
	}
	p, err := profile(c.Profile)
	if err != nil {
		return 0, 0, err
	}
	codec, err := videoCodec(c.Codec)
	if err != nil {
		return 0, 0, err
	}
	pic, err := m.picture(codec, p)
	return clip.FrameRate * pic.encode.Seconds(), clip.FrameRate * pic.decode.Seconds(), err
}

// sound measures what is encoded, a mix, and what is decoded, a voice. Under mu.
func (m *Meter) sound(c *codecs.Audio, o codecs.AudioOptions) (frame, error) {
	key := audioKey{c, o}
	f, ok := m.audio[key]
	if ok {
		return f, nil
	}
	var err error
	if f.encode, err = encodeAudio(c, o, voices(c, talkers, m.length)); err != nil {
		return frame{}, err
	}
	if f.decode, err = decodeAudio(c, o, voices(c, 1, m.length)); err != nil {
		return frame{}, err
	}
	m.audio[key] = f
	return f, nil
}

// picture measures video. Under mu.
func (m *Meter) picture(c *codecs.Video, p Profile) (picture, error) {
	key := videoKey{c, p}
	pic, ok := m.video[key]
	if ok {
		return pic, nil
	}
	if m.scaled[p] == nil {
		m.scaled[p] = m.film.Scaled(p.Width, p.Height)
	}
	pic, err := video(c, p, m.scaled[p])
	if err == nil {
		m.video[key] = pic
	}
	return pic, err
}
