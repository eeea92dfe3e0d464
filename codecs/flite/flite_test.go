package flite_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skybridge-media/skybridge/codecs/flite"
	"github.com/skybridge-media/skybridge/codecs/pcm"
)

// loudness is the mean square of a frame, relative to full scale.
func loudness(f pcm.Frame) (sum float64) {
	for _, s := range f {
		sum += float64(s) * float64(s)
	}
	return sum / float64(len(f)) / (1 << 30)
}

func TestSpeak(t *testing.T) {
	short, err := flite.Speak("Goodbye.")
	if err != nil {
		t.Fatal(err)
	}
	long, err := flite.Speak("This is a test call. Please speak: you will hear yourself a second later.")
	if err != nil {
		t.Fatal(err)
	}
	seconds := func(f pcm.Frame) float64 { return float64(len(f)) / flite.Rate }
	if s := seconds(short); s < 0.3 || s > 1.5 {
		t.Errorf("one word takes %.1f s", s)
	}
	if s := seconds(long); s < 3 || s > 8 {
		t.Errorf("fourteen words take %.1f s", s)
	}
	if l := loudness(long); l < 1e-4 {
		t.Errorf("speech is as loud as %g of full scale", l)
	}
	again, err := flite.Speak("Goodbye.")
	if err != nil || len(again) != len(short) {
		t.Errorf("the same again is %d samples, %v; was %d", len(again), err, len(short))
	}
}

func TestSpeakRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": " \n", "too much": strings.Repeat("word ", 200), "zero byte": "one\x00two",
	} {
		if f, err := flite.Speak(text); err == nil {
			t.Errorf("%s: %d samples", name, len(f))
		}
	}
	// What cannot be pronounced is nothing to break on.
	for _, text := range []string{"日本語 ü \xff\xfe", "<speak>&amp;</speak>", "1e999 12345678901234567890"} {
		if _, err := flite.Speak(text); err != nil && !strings.Contains(err.Error(), "flite") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSpeakTogether(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if f, err := flite.Speak("Packet loss 2.5 percent."); err != nil || len(f) < flite.Rate {
				t.Errorf("%d samples, %v", len(f), err)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("never said")
	}
}
