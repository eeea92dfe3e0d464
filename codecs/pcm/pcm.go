// Package pcm holds the raw audio format every codec meets in: 16-bit linear
// samples, native byte order, channels interleaved.
package pcm

// A Frame is a run of samples. Its length is samples times channels; rate and
// channel count travel beside it in a [Format], not inside it.
//
// A Frame passed to a function is borrowed for the duration of the call.
type Frame []int16

// Format says how to read a Frame.
type Format struct {
	Rate     int // samples per second per channel, such as 8000 or 48000
	Channels int // 1 or 2
}

// Samples20 is the length of a 20 ms Frame of this format.
func (f Format) Samples20() int { return f.Rate / 50 * f.Channels }
