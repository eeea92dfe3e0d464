package codeccost

import (
	"fmt"
	"slices"
	"time"

	"github.com/skybridge-media/skybridge/bench/clip"
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/tone"
)

// talkers is how many voices a mix has.
const talkers = 3

// voices returns n voices on top of each other, as frames of 20 ms in the format
// of c. They pause between sentences as people do.
func voices(c *codecs.Audio, n int, length time.Duration) []pcm.Frame {
	sum := make(pcm.Frame, int(length.Seconds()*float64(c.Format.Rate)))
	one := make(pcm.Frame, len(sum))
	for seed := range n {
		tone.NewSpeech(c.Format.Rate, uint64(seed+1)).Read(one)
		for i, s := range one {
			sum[i] = int16(min(max(int(sum[i])+int(s), -32768), 32767))
		}
	}
	return slices.Collect(slices.Chunk(sum, c.Format.Samples20()))
}

// encodeAudio measures an encode of 20 ms.
func encodeAudio(c *codecs.Audio, o codecs.AudioOptions, frames []pcm.Frame) (time.Duration, error) {
	enc, err := c.NewEncoder(o)
	if err != nil {
		return 0, fmt.Errorf("codeccost: %w", err)
	}
	defer enc.Close()
	buf := make([]byte, 0, 4096)
	return median(len(frames), func() error {
		for _, f := range frames {
			if _, err := enc.Encode(buf, f); err != nil {
				return fmt.Errorf("codeccost: %w", err)
			}
		}
		return nil
	})
}

// decodeAudio measures a decode of 20 ms.
func decodeAudio(c *codecs.Audio, o codecs.AudioOptions, frames []pcm.Frame) (time.Duration, error) {
	enc, err := c.NewEncoder(o)
	if err != nil {
		return 0, fmt.Errorf("codeccost: %w", err)
	}
	defer enc.Close()
	packets := make([][]byte, len(frames))
	for i, f := range frames {
		if packets[i], err = enc.Encode(nil, f); err != nil {
			return 0, fmt.Errorf("codeccost: %w", err)
		}
	}
	dec, err := c.NewDecoder()
	if err != nil {
		return 0, fmt.Errorf("codeccost: %w", err)
	}
	defer dec.Close()
	out := make(pcm.Frame, 0, 6*c.Format.Samples20())
	return median(len(frames), func() error {
		for _, p := range packets {
			if _, err := dec.Decode(out, p); err != nil {
				return fmt.Errorf("codeccost: %w", err)
			}
		}
		return nil
	})
}

// A picture is what one picture costs to encode and to decode, and how well it
// comes out.
type picture struct {
	encode, decode time.Duration
	psnr           float64 // dB
}

// video measures film, which has p's size, through c. The film runs forth and back,
// since a cut at its end would be paid for in every pass.
func video(c *codecs.Video, p Profile, film *clip.Film) (picture, error) {
	o := codecs.VideoOptions{Width: p.Width, Height: p.Height, FrameRate: clip.FrameRate, Bitrate: p.Bitrate}
	enc, err := c.NewEncoder(o)
	if err != nil {
		return picture{}, fmt.Errorf("codeccost: %w", err)
	}
	defer enc.Close()
	buf, n, pass := make([]byte, 0, 1<<20), len(film.Pictures), 0
	var got picture
	got.encode, err = median(n, func() error {
		for i := range n {
			at := i
			if pass%2 == 1 {
				at = n - 1 - i
			}
			if _, _, err := enc.Encode(buf, film.Pictures[at], false); err != nil {
				return fmt.Errorf("codeccost: %w", err)
			}
		}
		pass++
		return nil
	})
	if err != nil {
		return picture{}, err
	}
	o.KeepAll = true // every picture is there to be decoded
	units, err := film.Encode(c, o)
	if err != nil {
		return picture{}, err
	}
	if got.psnr, err = film.Fidelity(c, units); err != nil {
		return picture{}, err
	}
	dec, err := c.NewDecoder()
	if err != nil {
		return picture{}, fmt.Errorf("codeccost: %w", err)
	}
	defer dec.Close()
	got.decode, err = median(n, func() error {
		for _, unit := range units {
			if _, err := dec.Decode(unit); err != nil {
				return fmt.Errorf("codeccost: %w", err)
			}
		}
		return nil
	})
	return got, err
}

// scale measures filling a tile of width by height.
func scale(film *clip.Film, width, height int) (time.Duration, error) {
	tile := yuv.New(width, height)
	return median(len(film.Pictures), func() error {
		for _, pic := range film.Pictures {
			yuv.Scale(tile, pic)
		}
		return nil
	})
}
