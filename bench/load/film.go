package load

import (
	"fmt"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/yuv"
)

// Thumbnails are what pictures are searched by, in pixels.
const thumbWidth, thumbHeight = 64, 36

// A film is a clip as a receiver of it sees it: what tiles are compared with.
type film struct {
	pictures []*yuv.Picture // nil where the clip has none
	thumbs   []*yuv.Picture
}

func newFilm(codec *codecs.Video, units [][]byte) (*film, error) {
	d, err := codec.NewDecoder()
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	defer d.Close()
	f := &film{pictures: make([]*yuv.Picture, len(units)), thumbs: make([]*yuv.Picture, len(units))}
	for i, u := range units {
		if len(u) == 0 {
			continue
		}
		p, err := d.Decode(u)
		if err != nil {
			return nil, fmt.Errorf("load: picture %d of the clip: %w", i, err)
		}
		if p == nil {
			continue
		}
		f.pictures[i] = yuv.New(p.Width, p.Height)
		yuv.Copy(f.pictures[i], p)
		f.thumbs[i] = thumb(p)
	}
	return f, nil
}

// thumb is a picture made small.
func thumb(p *yuv.Picture) *yuv.Picture {
	t := yuv.New(thumbWidth, thumbHeight)
	yuv.Scale(t, p)
	return t
}

// upper is the part of a tile that has no label: the upper two thirds.
func upper(p *yuv.Picture) yuv.Picture {
	return p.Window(0, 0, p.Width, p.Height*2/3&^1)
}
