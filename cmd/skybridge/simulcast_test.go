package main

import (
	"fmt"
	"image/color"
	"testing"
	"time"
)

// TestPageSimulcast has our page send a large picture in three sizes, and a
// small one as it is. Both are seen.
func TestPageSimulcast(t *testing.T) {
	needPeer(t, "chromium", "ffmpeg", "sox")
	p := startProgram(t, "serve", "--adhoc", "--adhoc-layout", "2x2", "--rtp-ports", "43000-43999")
	red, blue := color.RGBA{200, 30, 30, 255}, color.RGBA{30, 50, 200, 255}
	large := startChromium(t, p.Web, hex(red), "1280x720", 500)
	small := startChromium(t, p.Web, hex(blue), "640x360", 800)
	large.join(t, "large", "sizes")
	small.join(t, "small", "sizes")
	for c, want := range map[*chromium]string{large: "f720 h360 q180", small: "360"} {
		eventually(t, 20*time.Second, func() error {
			got, err := c.layers()
			if err == nil && got != want {
				err = fmt.Errorf("layers %q, want %q", got, want)
			}
			return err
		})
	}
	all := []endpoint{{"large", 500, red, large.heard, large.seen}, {"small", 800, blue, small.heard, small.seen}}
	expect(t, "joined", all, all, all, tilesOf(t, "2x2")[:1]) // each sees the other alone
}
