package port

import (
	"time"

	media "github.com/skybridge-media/skybridge/media/rtp"
)

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

	asked   int    // bit/s of the latest request (TMMBR); 0: none was made
	askedOf uint32 // the source that was asked
	askedAt time.Time
	left    int // times it is to be repeated yet, for want of an answer
}

// A request that is not answered is made so many times, so often.
const (
	demandTries  = 3
	demandRepeat = 2 * time.Second
)

// see takes the size at which the picture is seen, and reports whether the peer
// is to be told at once that more is wanted. layered says that it sends several
// sizes, browser that it is slow to make a single picture large again.
func (d *demand) see(width, height int, layered, browser bool, now time.Time) (more bool) {
	need, patience := useful(width, height, layered, browser), layerDemandPatience
	if browser && !layered {
		patience = singleDemandPatience
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

// request reports whether to send a request to a source now, and takes it that
// this is done. Who was never asked for less is not asked for more.
func (d *demand) request(source uint32, now time.Time) bool {
	want := d.bitrate
	if want == 0 {
		want = mostReceived
	}
	switch {
	case d.asked == 0 && d.bitrate == 0:
		return false
	case want != d.asked || source != d.askedOf:
		d.asked, d.askedOf, d.left = want, source, demandTries
	case d.left == 0 || now.Sub(d.askedAt) < demandRepeat:
		return false
	}
	d.left--
	d.askedAt = now
	return true
}

// answered says that the peer knows of the request.
func (d *demand) answered() { d.left = 0 }

// headers are counted in a request for so many bytes in each packet: IPv4, UDP
// and RTP.
const headers = 20 + 8 + 12

// bitrateRequest asks a source for so many bit/s, headers included; zero: as
// much as it likes (RFC 5104 section 4.2.1).
func bitrateRequest(ssrc uint32, bitrate int, source uint32) *media.BitrateLimit {
	if bitrate == 0 {
		bitrate = mostReceived
	}
	return &media.BitrateLimit{SenderSSRC: ssrc, Entries: []media.BitrateEntry{{SSRC: source, Bitrate: bitrate, Overhead: headers}}}
}

// usefulBitrates are what pictures of faces need, in bit/s, with reserves. At those
// of small tiles a handheld pan, the hardest there is, has 35 dB PSNR when it has been
// scaled to the tile, even if its sender keeps to 640x360: more than the encode of a
// composition leaves of it. Finer steps are for who takes them in his stride: room
// systems. A browser's way back up is long, and layers are what they are.
var usefulBitrates = [...]struct {
	pixels, bitrate int
	fine            bool
}{
	{160 * 90, 150_000, true},
	{256 * 144, 200_000, true},
	{320 * 180, 300_000, false},
	{426 * 240, 500_000, true},
	{640 * 360, 900_000, false},
	{960 * 540, 1_600_000, false},
}

// useful returns how many bit/s improve a picture that is seen at a size; zero:
// any. A picture that nobody sees may be seen soon.
func useful(width, height int, layered, browser bool) int {
	const reserve = 10 // percent, as in slack
	for _, u := range usefulBitrates {
		if u.fine && (layered || browser) {
			continue
		}
		if width*height*100 <= u.pixels*(100+reserve)*(100+reserve)/100 {
			if layered {
				return u.bitrate * 4 / 3 // and the layers below
			}
			return u.bitrate
		}
	}
	return 0
}
