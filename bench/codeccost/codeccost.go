// Package codeccost measures what the codec libraries alone cost on this
// machine: the time of every encoder, decoder and scaler per frame, and of that
// what one call of a kind cannot do without. That is the limit which the engine
// is compared with.
//
// Times are CPU time of the measuring thread, so that neighbors on the machine
// disturb them only through caches and clock rates. Of several passes over the
// same material the median counts.
package codeccost

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/g722"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/vp8"
)

// Passes over the material; odd, for the median.
const Passes = 3

// Audio and Video are the codecs that are measured.
var (
	Audio = []*codecs.Audio{&g711.PCMU, &g711.PCMA, &g722.G722, &opus.Mono}
	Video = []*codecs.Video{&h264.H264, &vp8.VP8}
)

// A Profile is a size of picture with the bitrate it is sent at.
type Profile struct {
	Name                   string
	Width, Height, Bitrate int // pixels, bit/s
}

// Profiles are the kinds of video call, the largest first.
var Profiles = []Profile{
	{"hd", 1280, 720, 1_500_000},
	{"sd", 768, 448, 768_000},
	{"sd360", 640, 360, 600_000},
}

func profile(name string) (Profile, error) {
	i := slices.IndexFunc(Profiles, func(p Profile) bool { return p.Name == name })
	if i < 0 {
		return Profile{}, fmt.Errorf("codeccost: no video profile %q", name)
	}
	return Profiles[i], nil
}

func audioCodec(name string) (*codecs.Audio, error) {
	return byName(Audio, name, func(c *codecs.Audio) string { return c.Name })
}

func videoCodec(name string) (*codecs.Video, error) {
	return byName(Video, name, func(c *codecs.Video) string { return c.Name })
}

// byName finds a codec by its encoding name, which SDP compares without case.
func byName[T any](all []*T, name string, of func(*T) string) (*T, error) {
	i := slices.IndexFunc(all, func(c *T) bool { return strings.EqualFold(of(c), name) })
	if i < 0 {
		return nil, fmt.Errorf("codeccost: no codec %q", name)
	}
	return all[i], nil
}

// median runs pass, which handles frames frames, several times after once for
// warmth, and returns the median CPU time of a frame.
func median(frames int, pass func() error) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := pass(); err != nil {
		return 0, err
	}
	var took [Passes]time.Duration
	for i := range took {
		begin, err := threadTime()
		if err != nil {
			return 0, err
		}
		if err := pass(); err != nil {
			return 0, err
		}
		end, err := threadTime()
		if err != nil {
			return 0, err
		}
		took[i] = end - begin
	}
	slices.Sort(took[:])
	return took[Passes/2] / time.Duration(frames), nil
}

// threadTime is the CPU time that the calling thread has used.
func threadTime() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0, fmt.Errorf("codeccost: CPU time of the thread: %w", err)
	}
	return time.Duration(t.Nano()), nil
}
