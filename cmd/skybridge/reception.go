package main

import (
	"sync"

	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/pcm"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/echo"
)

// reception is where SIP callers are asked for a PIN.
func (s *server) reception(metrics *bridge.Metrics) participant.Reception {
	return participant.Reception{
		Open: func(room string) participant.Desk {
			log := s.log.With("part", "media", "room", room)
			return echo.NewDesk(echo.Config{Log: log, Video: &h264.H264, Workers: s.workers},
				bridge.New(bridge.Config{Log: log, Metrics: metrics, Workers: s.workers}))
		},
		Speak: new(prompts).speak,
	}
}

// prompts are what is said more than once, as speech. There are few of them.
// Safe for concurrent use.
type prompts struct {
	mu     sync.Mutex // guards spoken, and is held while speech is made: the same is not made twice
	spoken map[string]pcm.Frame
}

func (p *prompts) speak(text string) (pcm.Frame, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if speech, ok := p.spoken[text]; ok {
		return speech, nil
	}
	speech, err := speak(text)
	if err != nil {
		return nil, err
	}
	if p.spoken == nil {
		p.spoken = map[string]pcm.Frame{}
	}
	p.spoken[text] = speech
	return speech, nil
}
