package port

import "time"

// How long a picture must have been seen smaller before its sender is told to
// send less: whoever has spoken may speak again. Chromium begins with a layer
// that it had stopped within a second. But where it sends a single picture it
// makes that smaller, and takes ten seconds for each step back.
const (
	layerDemandPatience  = 5 * time.Second
	singleDemandPatience = 30 * time.Second
)

// A demand says how much of a peer's video is of any use at the size at which it
// is seen. Not safe for concurrent use.
type demand struct {
	bitrate int       // bit/s that the peer needs at most; 0: no limit
	since   time.Time // since when less would do; zero: not so
}

// see takes the size at which the picture is seen, and reports whether the peer
// is to be told at once that more is wanted. layered says that it sends
// several sizes, whose smaller ones come first.
func (d *demand) see(width, height int, layered bool, now time.Time) (more bool) {
	need, patience := useful(width, height, layered), singleDemandPatience
	if layered {
		patience = layerDemandPatience
	}
	switch {
	case need == d.bitrate:
		d.since = time.Time{}
		return false
	case need == 0 || d.bitrate != 0 && need > d.bitrate:
		d.bitrate, d.since = need, time.Time{}
		return true
	case d.since.IsZero():
		d.since = now
	case now.Sub(d.since) >= patience:
		d.bitrate, d.since = need, time.Time{}
	}
	return false
}

// usefulBitrates are what pictures of faces need, in bit/s, with reserves.
var usefulBitrates = [...]struct{ pixels, bitrate int }{
	{320 * 180, 300_000},
	{640 * 360, 900_000},
	{960 * 540, 1_600_000},
}

// useful returns how many bit/s improve a picture that is seen at a size; zero:
// any. A picture that nobody sees may be seen soon.
func useful(width, height int, layered bool) int {
	const reserve = 10 // percent, as in slack
	for _, u := range usefulBitrates {
		if width*height*100 <= u.pixels*(100+reserve)*(100+reserve)/100 {
			if layered {
				return u.bitrate * 4 / 3 // and the layers below
			}
			return u.bitrate
		}
	}
	return 0
}
