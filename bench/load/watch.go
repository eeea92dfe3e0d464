package load

import (
	"cmp"
	"errors"
	"image/color"
	"slices"
	"time"

	material "github.com/skybridge-media/skybridge/bench/clip"
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/compose"
	"github.com/skybridge-media/skybridge/media/payload"
)

const (
	// keptVideo is how many packets of a watched receiver are kept: everything
	// from the first key frame on, for minutes.
	keptVideo = 60_000

	// samples is how many compositions of a watched receiver are compared with
	// what they should be.
	samples = 8

	// oldest is how long ago what is seen in a tile was sent, at most.
	oldest = 400 * time.Millisecond

	// A tile shows a picture if it is this much like it; another picture of
	// the same pan is below 20 dB.
	alike = 26.0 // dB

	// candidates are how many pictures that look alike when small are compared
	// in full.
	candidates = 6

	// sharp is what looks flawless, whatever the encoder could have done.
	sharp = 36.0 // dB, of the whole composition, on average

	// Where the bitrate does not allow that, the picture may be so much worse
	// than what the codec makes of the same composition when it has all the time
	// in the world.
	tolerance = 1.0 // dB

	// limitPictures are encoded to find that out.
	limitPictures = 60
)

// watch decodes what watched members received, and compares some pictures with
// the composition that they should be.
func (g *generator) watch(r *Report) {
	v, spec := r.Video, g.spec.Video
	w := &watcher{generator: g, report: r}
	if err := w.develop(); err != nil {
		r.complain("%v", err)
		return
	}
	if w.films == nil {
		r.complain("nobody sends video")
		return
	}
	for _, m := range g.members[:min(g.spec.Watched, len(g.members))] {
		v.Watched++
		before := w.compared
		if err := w.member(m); err != nil {
			r.complain("%s %s: %v", m.room, m.name, err)
		}
		if w.compared == before {
			r.complain("%s %s: no picture was compared", m.room, m.name)
		}
	}
	if w.compared == 0 {
		return
	}
	v.PSNR, v.Latency = w.psnr/float64(w.compared), w.latency/float64(max(1, v.Tiles))
	if spec.Senders == TMMBR {
		v.PSNRWhole = w.whole / float64(w.compared)
	}
	var err error
	if v.Limit, err = w.limit(); err != nil {
		r.complain("%v", err)
	}
	if least := min(sharp, v.Limit-tolerance); v.PSNR < least {
		r.complain("pictures have %.1f dB PSNR against the ideal composition; %.1f are possible at this bitrate", v.PSNR, v.Limit)
	}
}

// develop makes the films of all layers that were sent, and of the last one, which
// is the best.
func (w *watcher) develop() error {
	sent := map[int]bool{}
	for _, m := range w.members {
		for _, s := range m.sent {
			sent[s.version] = true
		}
	}
	for _, clips := range w.clips {
		w.films = make([]*film, len(clips)) // those of another mode differ in packets only
		for i, c := range clips {
			if w.spec.Video.Senders == TMMBR && i < len(clips)-1 && !sent[i] {
				continue
			}
			var err error
			if w.films[i], err = newFilm(VideoCodec(w.spec.Video.Codec), c.units); err != nil {
				return err
			}
		}
	}
	return nil
}

// A watcher looks at the video of one member after another.
type watcher struct {
	*generator
	films    []*film // by layer; nil: nobody sent it
	report   *Report
	painter  compose.Painter
	pool     compose.Pool
	compared int
	seen     []place // what was compared last
	psnr     float64 // sum
	whole    float64 // sum, with the best film of everybody in place of what was sent
	latency  float64 // sum, ms, of tiles that are right
}

// member decodes everything that m received.
func (w *watcher) member(m *member) error {
	packets, err := m.video.unseal()
	if err != nil {
		return err
	}
	arrivals := m.video.inOrder()
	codec, v := m.video.stream.Video.Codec, w.report.Video
	a, err := payload.NewAssembler(codec.Name, nil)
	if err != nil {
		return err
	}
	d, err := codec.NewDecoder()
	if err != nil {
		return err
	}
	defer d.Close()
	every := w.window() / samples
	next := w.engine.began.Add(every / 2)
	var broken error
	for i, p := range packets {
		if p.PayloadType != m.video.stream.RecvType {
			continue
		}
		if err := a.Add(p.Payload); err != nil {
			broken = err
		}
		if !p.Marker {
			continue
		}
		pic, err := d.Decode(a.Unit())
		err, broken = errors.Join(broken, err), nil
		at := arrivals[i].at
		if at.Before(w.engine.began) || at.After(w.engine.ended) {
			continue
		}
		if err != nil || pic == nil {
			v.Undecodable++
			w.report.complain("%s %s: a picture cannot be decoded: %v", m.room, m.name, err)
			continue
		}
		v.Decoded++
		v.Width, v.Height = pic.Width, pic.Height
		if at.After(next) {
			next = next.Add(every)
			w.compare(m, pic, at)
		}
	}
	return nil
}

// compare finds out what each tile of pic shows, and measures how well.
func (w *watcher) compare(m *member, pic *yuv.Picture, at time.Time) {
	v := w.report.Video
	arrangement := w.arrangement(m)
	others := w.roommates(m)
	if len(arrangement.Seats) == 1 { // it is for who speaks
		others = slices.DeleteFunc(others, func(o *member) bool { return w.spec.Talkers > 0 && !o.talks })
	}
	w.seen = w.seen[:0]
	tiles := make([]compose.Tile, len(arrangement.Seats))
	for i := range tiles {
		rect := arrangement.Rect(i, pic.Width, pic.Height)
		tile := pic.Window(rect.X, rect.Y, rect.W, rect.H)
		found := w.find(&tile, others, at)
		tiles[i] = compose.Tile{Rect: rect, Speaking: len(tiles) > 1 && bordered(&tile)}
		if found == nil {
			v.TilesWrong++
			w.report.complain("%s %s: tile %d of %d shows nobody who should be seen", m.room, m.name, i, len(tiles))
			continue
		}
		v.Tiles++
		w.latency += float64(at.Sub(found.sent.at).Microseconds()) / 1000
		others = slices.DeleteFunc(slices.Clone(others), func(o *member) bool { return o == found.member })
		w.seen = append(w.seen, place{rect, found})
		tiles[i].Name = found.member.name
		tiles[i].Source = w.pool.NewSource(found.film.pictures[found.sent.pos], nil)
	}
	ideal := compose.NewCanvas(pic.Width, pic.Height)
	w.painter.Paint(ideal, tiles)
	psnr := yuv.PSNR(ideal.Picture, pic)
	if w.compared == 0 || psnr < v.PSNRMin {
		v.PSNRMin = psnr
	}
	w.compared++
	w.psnr += psnr
	if w.spec.Video.Senders == TMMBR {
		w.whole += w.unlimited(pic, tiles)
	}
}

// unlimited compares pic with the composition that it would be had nobody been
// asked to send less. It changes tiles.
func (w *watcher) unlimited(pic *yuv.Picture, tiles []compose.Tile) float64 {
	best := w.films[len(w.films)-1]
	for i := range tiles {
		for _, p := range w.seen {
			if p.rect == tiles[i].Rect {
				tiles[i].Source = w.pool.NewSource(best.pictures[p.found.sent.pos], nil)
			}
		}
	}
	canvas := compose.NewCanvas(pic.Width, pic.Height)
	w.painter.Paint(canvas, tiles)
	return yuv.PSNR(canvas.Picture, pic)
}

// A place is a tile of which it is known what it shows.
type place struct {
	rect  compose.Rect
	found *sighting
}

// limit encodes the composition that was seen last, moving on from there, and
// returns how well the codec can do at this bitrate: decibels of PSNR.
func (w *watcher) limit() (float64, error) {
	v, spec := w.report.Video, w.spec.Video
	film := &material.Film{}
	canvas := compose.NewCanvas(v.Width, v.Height)
	for n := range limitPictures {
		var tiles []compose.Tile
		for _, p := range w.seen {
			pic := p.found.film.pictures[(p.found.sent.pos+n)%len(p.found.film.pictures)]
			tiles = append(tiles, compose.Tile{Rect: p.rect, Name: p.found.member.name, Source: w.pool.NewSource(pic, nil)})
		}
		w.painter.Paint(canvas, tiles)
		own := yuv.New(v.Width, v.Height)
		yuv.Copy(own, canvas.Picture)
		film.Pictures = append(film.Pictures, own)
	}
	units, err := film.Encode(VideoCodec(spec.Codec), codecs.VideoOptions{FrameRate: spec.FrameRate, Bitrate: spec.Bitrate, KeepAll: true})
	if err != nil {
		return 0, err
	}
	return film.Fidelity(VideoCodec(spec.Codec), units)
}

// arrangement is where tiles are that m sees. Who sits where is found out.
func (w *watcher) arrangement(m *member) *compose.Arrangement {
	layout, err := compose.Parse(w.spec.Video.Layout)
	if err != nil {
		layout, _ = compose.Parse(compose.Default)
	}
	var members []compose.Member
	for range w.roommates(m) {
		members = append(members, compose.Member{ID: string(rune('a' + len(members)))})
	}
	return layout.Arrange(members, nil, "", nil)
}

// roommates are those whom m should see.
func (w *watcher) roommates(m *member) []*member {
	var out []*member
	for _, o := range w.members {
		if o.room == m.room && o.clips != nil && (o != m || w.spec.Video.SelfView) {
			out = append(out, o)
		}
	}
	return out
}

// A sighting is what a tile shows.
type sighting struct {
	member *member
	film   *film // the layer
	sent   sent
	like   float64 // dB
}

// find returns who is seen in a tile: what somebody sent a moment ago.
func (w *watcher) find(tile *yuv.Picture, among []*member, at time.Time) *sighting {
	small := thumb(tile)
	part := upper(small)
	var all []sighting
	for _, m := range among {
		for _, s := range m.lately(at) {
			films := w.sentAs(s)
			top := films[len(films)-1]
			if top.pictures[s.pos] == nil {
				continue
			}
			other := upper(top.thumbs[s.pos])
			all = append(all, sighting{m, top, s, yuv.PSNR(&part, &other)})
		}
	}
	slices.SortFunc(all, func(a, b sighting) int { return cmp.Compare(b.like, a.like) })
	var best *sighting
	part = upper(tile)
	for _, s := range all[:min(candidates, len(all))] {
		for _, s.film = range w.sentAs(s.sent) {
			// Cut and scaled as compositions are.
			alone := compose.NewCanvas(tile.Width, tile.Height)
			w.painter.Paint(alone, []compose.Tile{{
				Rect: compose.Rect{W: tile.Width, H: tile.Height}, Source: w.pool.NewSource(s.film.pictures[s.sent.pos], nil),
			}})
			other := upper(alone.Picture)
			if s.like = yuv.PSNR(&part, &other); s.like >= alike && (best == nil || s.like > best.like) {
				found := s
				best = &found
			}
		}
	}
	return best
}

// sentAs are the films that a picture was sent in.
func (w *watcher) sentAs(s sent) []*film {
	if w.spec.Video.Senders == TMMBR {
		return w.films[s.version:][:1]
	}
	return w.films
}

// lately returns what m sent in the time before at.
func (m *member) lately(at time.Time) []sent {
	from, _ := slices.BinarySearchFunc(m.sent, at.Add(-oldest), func(s sent, t time.Time) int { return s.at.Compare(t) })
	to, _ := slices.BinarySearchFunc(m.sent, at, func(s sent, t time.Time) int { return s.at.Compare(t) })
	return m.sent[from:to]
}

// accent is the colour around who speaks.
var accent = yuv.ColorOf(color.RGBA{R: 52, G: 211, B: 153, A: 255})

// bordered reports whether a tile has the border of who speaks.
func bordered(tile *yuv.Picture) bool {
	near := func(a, b byte) bool { return max(a, b)-min(a, b) < 24 }
	matching := 0
	for x := 0; x < tile.Width/2; x += 2 {
		if near(tile.U[x], accent.U) && near(tile.V[x], accent.V) && near(tile.Y[2*x], accent.Y) {
			matching++
		}
	}
	return matching > tile.Width/8
}
