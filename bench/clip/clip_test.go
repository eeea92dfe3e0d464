package clip_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/skybridge-media/skybridge/bench/clip"
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/codecs/yuv"
)

const film = "../../codecs/h264/testdata/bframes.264"

func TestOpen(t *testing.T) {
	f, err := clip.Open(film)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Pictures) != 12 {
		t.Errorf("%d pictures, want 12, B pictures among them", len(f.Pictures))
	}
	if yuv.PSNR(f.Pictures[0], f.Pictures[11]) > 40 {
		t.Error("the first and the last picture are the same")
	}
	if got := f.First(5); len(got.Pictures) != 5 {
		t.Errorf("First(5) has %d pictures", len(got.Pictures))
	}
}

func TestOpenRefuses(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.264")
	if err := os.WriteFile(text, []byte("no film"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, text + ".missing", "../../codecs/h264/testdata/interlaced.264"} {
		if f, err := clip.Open(path); err == nil {
			t.Errorf("%s: %d pictures", path, len(f.Pictures))
		}
	}
}

// Every unit shows its picture, and a sender can begin again after the last.
func TestEncode(t *testing.T) {
	f := clip.Generate(640, 360, 20).Scaled(320, 180)
	for _, codec := range []*codecs.Video{&h264.H264, &vp8.VP8} {
		units, err := f.Encode(codec, codecs.VideoOptions{Bitrate: 500_000, KeepAll: true})
		if err != nil {
			t.Fatal(err)
		}
		for i, unit := range units {
			if len(unit) == 0 || codec.KeyFrame(unit) != (i == 0) {
				t.Errorf("%s, unit %d: %d bytes, key = %v", codec.Name, i, len(unit), codec.KeyFrame(unit))
			}
		}
		db, err := f.Fidelity(codec, append(units[:0:0], units...))
		if err != nil || db < 33 {
			t.Errorf("%s: %.1f dB, %v; want at least 33", codec.Name, db, err)
		}
		if _, err := f.Fidelity(codec, units[1:]); err == nil {
			t.Errorf("%s: units of another film were compared", codec.Name)
		}
	}
}

// The film has no seam, and moves all the time.
func TestGenerateLoops(t *testing.T) {
	f := clip.Generate(320, 180, 60)
	n := len(f.Pictures)
	step := func(i int) float64 { return yuv.PSNR(f.Pictures[i%n], f.Pictures[(i+1)%n]) }
	least, most := 100.0, 0.0
	for i := range n - 1 {
		least, most = min(least, step(i)), max(most, step(i))
	}
	if seam := step(n - 1); seam < least-1 || seam > most+1 {
		t.Errorf("PSNR from the last picture to the first = %.1f dB, elsewhere %.1f to %.1f", seam, least, most)
	}
	if most > 40 {
		t.Errorf("two neighbors are alike: %.1f dB", most)
	}
}

// TestDifficulty holds the film to what a camera pan needs: at 1.5 Mbit/s openh264
// shows that one with 39.7 dB.
func TestDifficulty(t *testing.T) {
	f := clip.Generate(1280, 720, 60)
	units, err := f.Encode(&h264.H264, codecs.VideoOptions{Bitrate: 1_500_000, KeepAll: true})
	if err != nil {
		t.Fatal(err)
	}
	db, err := f.Fidelity(&h264.H264, units)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f dB", db)
	if db < 37.5 || db > 42.5 {
		t.Errorf("%.1f dB at 1.5 Mbit/s, want about 40", db)
	}
}
