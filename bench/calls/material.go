package calls

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/skybridge-media/skybridge/bench/clip"
	"github.com/skybridge-media/skybridge/bench/load"
	"github.com/skybridge-media/skybridge/codecs"
)

// material makes what generators send, once for each size.
type material struct {
	dir, path string
	film      *clip.Film
	made      map[string]string // file by what is in it
}

// clipPictures is the length of what is sent again and again.
const clipPictures = 150

// file returns the file with pictures of that size in that codec.
func (m *material) file(codec string, width, height, bitrate int) (string, error) {
	name := fmt.Sprintf("%s-%dx%d-%d", codec, width, height, bitrate)
	if f := m.made[name]; f != "" {
		return f, nil
	}
	units, err := m.encode(codec, codecs.VideoOptions{
		Width: width, Height: height, FrameRate: frameRate, Bitrate: bitrate, KeepAll: true,
	})
	if err != nil {
		return "", err
	}
	f := filepath.Join(m.dir, name)
	if err := load.WriteUnits(f, units); err != nil {
		return "", err
	}
	if m.made == nil {
		m.made = map[string]string{}
	}
	m.made[name] = f
	return f, nil
}

// shares are the bitrates that senders obey with, of the whole: half steps of an
// octave, down to an eighth.
var shares = []float64{0.125, 0.177, 0.25, 0.354, 0.5, 0.707, 1}

// layers returns what senders of s send, the least first. The layers of a
// simulcast are those of browsers: a half and a quarter. Those who obey TMMBR send
// less of the same size. Many make their picture smaller, too, but they need not.
func (m *material) layers(s scenario) ([]load.Layer, error) {
	whole := load.Layer{Width: s.width, Height: s.height}
	all, bitrates := []load.Layer{whole}, []int{s.bitrate}
	switch s.senders {
	case load.Simulcast:
		all = []load.Layer{{Width: s.width / 4, Height: s.height / 4}, {Width: s.width / 2, Height: s.height / 2}, whole}
		bitrates = []int{s.bitrate / 10, s.bitrate / 3, s.bitrate}
	case load.TMMBR:
		all, bitrates = slices.Repeat(all, len(shares)), nil
		for _, share := range shares {
			bitrates = append(bitrates, int(share*float64(s.bitrate)))
		}
	}
	for i := range all {
		var err error
		if all[i].File, err = m.file(s.codec, all[i].Width, all[i].Height, bitrates[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// encode makes the access units of the film at one size.
func (m *material) encode(codec string, opts codecs.VideoOptions) ([][]byte, error) {
	film, err := m.source()
	if err != nil {
		return nil, err
	}
	return film.Scaled(opts.Width, opts.Height).Encode(load.VideoCodec(codec), opts)
}

// source is the film that all material is made of.
func (m *material) source() (*clip.Film, error) {
	if m.film != nil {
		return m.film, nil
	}
	if m.path == "" {
		m.film = clip.Generate(1280, 720, clipPictures)
		return m.film, nil
	}
	film, err := clip.Open(m.path)
	if err != nil {
		return nil, err
	}
	m.film = film.First(clipPictures)
	return m.film, nil
}
