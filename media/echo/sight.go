package echo

import (
	"image/color"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/compose"
	"github.com/skybridge-media/skybridge/media/payload"
)

// The picture. It is as large as the bridge's, so that whoever calls is asked for
// as much as in a conference, and half as many per second: what counts is to see
// oneself, and this is encoded twice.
const (
	width, height = 1280, 720
	frameRate     = 15
	bitrate       = 1_200_000
	maxPayload    = 1200

	// maxQueue is how many pictures may wait, for a delay of two seconds.
	maxQueue = 3 * frameRate

	maxSpare = 4 // pictures kept for reuse
)

var dark = yuv.ColorOf(color.RGBA{R: 18, G: 20, B: 24, A: 255})

// sight is what an echo sees and shows.
type sight struct {
	cfg     Config
	spec    bridge.VideoSpec
	frames  chan *bridge.VideoFrame // conflated by loss: a full queue asks for a key frame
	written chan struct{}           // there are other lines; capacity 1
	stop    chan struct{}
	done    chan struct{} // closed when nothing runs any more
	needKey atomic.Bool

	// Of the goroutine, or of its job while it waits for that.
	assembler *payload.Assembler
	decoder   codecs.VideoDecoder
	painter   compose.Painter
	seen      *yuv.Picture // the last one that was due, without writing
	broken    bool         // nothing is shown before the next key frame

	mu     sync.Mutex // guards what follows
	lines  []string
	latest *bridge.SharedPicture
	spare  []*yuv.Picture
}

func newSight(cfg Config) *sight {
	s := &sight{
		cfg: cfg,
		spec: bridge.VideoSpec{
			Codec: cfg.Video, Payload: maxPayload, Mode: 1,
			Options: codecs.VideoOptions{Width: width, Height: height, FrameRate: frameRate, Bitrate: bitrate},
		},
		frames:  make(chan *bridge.VideoFrame, maxQueue),
		written: make(chan struct{}, 1),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
		seen:    yuv.New(width, height),
	}
	s.seen.Fill(dark)
	go s.run()
	return s
}

func (s *sight) close() {
	close(s.stop)
	<-s.done
}

// push takes a picture that is to be seen later.
func (s *sight) push(f *bridge.VideoFrame) {
	select {
	case s.frames <- f:
	default:
		s.needKey.Store(true)
	}
}

// write replaces the lines.
func (s *sight) write(lines []string) {
	s.mu.Lock()
	s.lines = slices.Clone(lines)
	s.mu.Unlock()
	select {
	case s.written <- struct{}{}:
	default:
	}
}

// picture returns the latest picture, with a reference for the caller.
func (s *sight) picture() *bridge.SharedPicture {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest != nil {
		s.latest.Retain()
	}
	return s.latest
}

// run shows every picture when its time has come, and writes at once.
func (s *sight) run() {
	defer close(s.done)
	defer s.release()
	s.work(nil)
	for {
		select {
		case <-s.stop:
			return
		case <-s.written:
			s.work(nil)
		case f := <-s.frames:
			if !s.await(f.Captured.Add(s.cfg.Delay)) {
				return
			}
			s.work(f)
		}
	}
}

// await waits until at, and writes meanwhile. It reports false after close.
func (s *sight) await(at time.Time) bool {
	due := time.NewTimer(time.Until(at))
	defer due.Stop()
	for {
		select {
		case <-s.stop:
			return false
		case <-s.written:
			s.work(nil)
		case <-due.C:
			return true
		}
	}
}

// A job is work for one of the threads for video.
type job struct {
	do   func()
	done chan struct{}
}

func (j *job) Run() {
	defer close(j.done)
	j.do()
}

// work shows f, or with nil the same picture as before, on a worker.
func (s *sight) work(f *bridge.VideoFrame) {
	j := &job{func() { s.show(f) }, make(chan struct{})}
	if s.cfg.Workers == nil {
		j.Run()
		return
	}
	s.cfg.Workers.Submit(j)
	<-j.done
}

func (s *sight) show(f *bridge.VideoFrame) {
	if f != nil {
		if s.broken && !f.Key {
			return
		}
		if s.broken = !s.decode(f); s.broken {
			s.needKey.Store(true)
			return
		}
	}
	s.mu.Lock()
	lines := s.lines
	s.mu.Unlock()
	pic := s.take()
	yuv.Copy(pic, s.seen)
	s.painter.Write(pic, lines)
	shared := bridge.NewSharedPicture(*pic, time.Now(), func(*bridge.SharedPicture) { s.put(pic) })
	s.mu.Lock()
	was := s.latest
	s.latest = shared
	s.mu.Unlock()
	if was != nil {
		was.Release()
	}
}

// decode makes f what is seen, and reports whether that went well.
func (s *sight) decode(f *bridge.VideoFrame) bool {
	var err error
	if s.decoder == nil {
		if s.decoder, err = s.cfg.Video.NewDecoder(); err != nil {
			s.cfg.Log.Error("no video decoder", "codec", s.cfg.Video.Name, "err", err)
			s.decoder = nil
			return false
		}
	}
	if s.assembler == nil {
		if s.assembler, err = payload.NewAssembler(s.cfg.Video.Name, nil); err != nil {
			s.cfg.Log.Error("no video assembler", "codec", s.cfg.Video.Name, "err", err)
			return false
		}
	}
	for _, p := range f.Payloads {
		if err := s.assembler.Add(p); err != nil {
			s.assembler.Reset()
			return false
		}
	}
	pic, err := s.decoder.Decode(s.assembler.Unit())
	if err != nil {
		return false
	}
	switch {
	case pic == nil:
	case pic.Width == width && pic.Height == height:
		yuv.Copy(s.seen, pic)
	default:
		yuv.Scale(s.seen, pic)
	}
	return true
}

// release gives back what the goroutine has held.
func (s *sight) release() {
	if s.decoder != nil {
		_ = s.decoder.Close() // frees memory; there is nothing to be done about an error
	}
	s.mu.Lock()
	was := s.latest
	s.latest = nil
	s.mu.Unlock()
	if was != nil {
		was.Release()
	}
}

func (s *sight) take() *yuv.Picture {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.spare); n > 0 {
		pic := s.spare[n-1]
		s.spare = s.spare[:n-1]
		return pic
	}
	return yuv.New(width, height)
}

func (s *sight) put(pic *yuv.Picture) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.spare) < maxSpare {
		s.spare = append(s.spare, pic)
	}
}
