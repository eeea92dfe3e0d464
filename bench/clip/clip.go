// Package clip makes the moving pictures that measurements send: films from a
// file or out of thin air, at any size, encoded once so that sending them costs
// nothing.
package clip

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/yuv"
)

// FrameRate is that of every film, in pictures per second. Byte streams of H.264
// rarely say theirs; a file made for another plays faster or slower.
const FrameRate = 30

// A Film is raw pictures of one size, in the order of display, to be shown in a
// loop. It holds them all: 1.4 MB each at 1280x720. Immutable; safe for
// concurrent use.
type Film struct {
	Pictures []*yuv.Picture // never empty
}

// Open decodes the byte stream of H.264 (Annex B) in the file at path.
func Open(path string) (*Film, error) {
	stream, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("clip: %w", err)
	}
	f := &Film{}
	for pic, err := range h264.Film(stream) {
		if err != nil {
			return nil, fmt.Errorf("clip: %s, picture %d: %w", path, len(f.Pictures), err)
		}
		if len(f.Pictures) > 0 && (pic.Width != f.Width() || pic.Height != f.Height()) {
			return nil, fmt.Errorf("clip: %s, picture %d: size changes from %dx%d to %dx%d",
				path, len(f.Pictures), f.Width(), f.Height(), pic.Width, pic.Height)
		}
		f.Pictures = append(f.Pictures, yuv.New(pic.Width, pic.Height))
		yuv.Copy(f.Pictures[len(f.Pictures)-1], pic)
	}
	if len(f.Pictures) == 0 {
		return nil, fmt.Errorf("clip: %s: no pictures; an H.264 byte stream is needed", path)
	}
	return f, nil
}

// Width of the pictures, in pixels.
func (f *Film) Width() int { return f.Pictures[0].Width }

// Height of the pictures, in pixels.
func (f *Film) Height() int { return f.Pictures[0].Height }

// First returns the first n pictures, or all if there are not as many. They are
// shared.
func (f *Film) First(n int) *Film { return &Film{f.Pictures[:min(n, len(f.Pictures))]} }

// Scaled returns the film at another size, both sides even; f itself if it is
// the same. The shape may change.
func (f *Film) Scaled(width, height int) *Film {
	if f.Width() == width && f.Height() == height {
		return f
	}
	scaled := &Film{make([]*yuv.Picture, len(f.Pictures))}
	for i, pic := range f.Pictures {
		scaled.Pictures[i] = yuv.New(width, height)
		yuv.Scale(scaled.Pictures[i], pic)
	}
	return scaled
}

// Encode returns one access unit per picture. The first is a key frame and the
// only one, so that a sender begins again with the first after the last. Size
// and frame rate of opts default to the film's. A unit is empty where the rate
// control dropped the picture, which KeepAll forbids.
func (f *Film) Encode(codec *codecs.Video, opts codecs.VideoOptions) ([][]byte, error) {
	opts.Width, opts.Height = cmp.Or(opts.Width, f.Width()), cmp.Or(opts.Height, f.Height())
	opts.FrameRate = cmp.Or(opts.FrameRate, FrameRate)
	enc, err := codec.NewEncoder(opts)
	if err != nil {
		return nil, fmt.Errorf("clip: %w", err)
	}
	defer enc.Close()
	units := make([][]byte, len(f.Pictures))
	for i, pic := range f.Pictures {
		if units[i], _, err = enc.Encode(nil, pic, i == 0); err != nil {
			return nil, fmt.Errorf("clip: picture %d: %w", i, err)
		}
	}
	return units, nil
}

// Fidelity decodes units, which Encode made of f, and compares what is shown
// with what should be: a dropped picture shows the one before. It returns the
// mean over all pictures, in decibels of PSNR.
func (f *Film) Fidelity(codec *codecs.Video, units [][]byte) (float64, error) {
	if len(units) != len(f.Pictures) {
		return 0, errors.New("clip: units of another film")
	}
	dec, err := codec.NewDecoder()
	if err != nil {
		return 0, fmt.Errorf("clip: %w", err)
	}
	defer dec.Close()
	var shown *yuv.Picture // borrowed until the next Decode, and there is none in between
	sum := 0.0
	for i, unit := range units {
		if len(unit) > 0 {
			if shown, err = dec.Decode(unit); err != nil {
				return 0, fmt.Errorf("clip: picture %d: %w", i, err)
			}
		}
		if shown == nil {
			return 0, fmt.Errorf("clip: picture %d: nothing to show", i)
		}
		sum += yuv.PSNR(shown, f.Pictures[i])
	}
	return sum / float64(len(units)), nil
}
