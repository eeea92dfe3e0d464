package main

import (
	"github.com/skybridge-media/skybridge/actors/testcall"
	"github.com/skybridge-media/skybridge/codecs/flite"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/echo"
	"github.com/skybridge-media/skybridge/media/resample"
)

// testCalls are what test calls are made with: an echo, and a voice.
func (s *server) testCalls() testcall.Media {
	return testcall.Media{
		Member: func(room string) testcall.Member {
			return echo.New(echo.Config{Log: s.log.With("part", "media", "room", room), Video: &h264.H264, Workers: s.workers})
		},
		Speak: speak,
	}
}

// speak returns text as speech at the rate of an echo.
func speak(text string) (pcm.Frame, error) {
	speech, err := flite.Speak(text)
	if err != nil {
		return nil, err
	}
	out := make(pcm.Frame, 0, len(speech)*echo.Rate/flite.Rate)
	return resample.New(flite.Rate, echo.Rate).Process(out, speech), nil
}
