package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/skybridge-media/skybridge/bench/caller"
	"github.com/skybridge-media/skybridge/codecs"
	"github.com/skybridge-media/skybridge/codecs/g722"
	"github.com/skybridge-media/skybridge/codecs/h264"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/tone"
)

// demoRoom is where synthetic callers meet.
const demoRoom = "demo"

func demoCommand() *cobra.Command {
	c := &config{}
	participants := 4
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Serve, with synthetic callers in the room " + demoRoom,
		Long: `Serves as "skybridge serve --adhoc" does, and lets synthetic callers over real SIP
and WebRTC, with moving pictures and speech-like sound, into the room "` + demoRoom + `".`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if participants < 1 || participants > len(demoNames) {
				return fmt.Errorf("--participants: %d is not between 1 and %d", participants, len(demoNames))
			}
			return serve(cmd, c, demoRoom, func(ctx context.Context, s *server) error { return runDemo(ctx, s, participants) })
		},
	}
	c.flags(cmd.Flags())
	cmd.Flags().IntVar(&participants, "participants", participants, "`number` of synthetic callers")
	_ = cmd.Flags().Set("adhoc", "true") // the flag exists
	cmd.Flags().Lookup("adhoc").Changed = false
	return cmd
}

// demoNames are the callers, in several scripts, because names are.
var demoNames = []string{
	"Ada Lovelace", "Bjarne Ødegård", "Chloé Dubois", "Дмитрий Волков", "Ελένη Παππά", "Felix Müller",
	"Grace Hopper", "Hamid Karimi", "İpek Yılmaz", "João Araújo", "Katya Novák", "Łukasz Wójcik",
}

// demoColors are the backgrounds of their pictures.
var demoColors = []yuv.Color{
	{Y: 90, U: 160, V: 110},
	{Y: 120, U: 110, V: 150},
	{Y: 100, U: 120, V: 100},
	{Y: 80, U: 140, V: 150},
	{Y: 130, U: 100, V: 120},
	{Y: 95, U: 150, V: 130},
}

// runDemo keeps n callers in the room until ctx is done.
func runDemo(ctx context.Context, s *server, n int) error {
	var callers sync.WaitGroup
	defer callers.Wait()
	for i := range n {
		callers.Go(func() {
			for ctx.Err() == nil {
				if err := demoCall(ctx, s, i); err != nil && ctx.Err() == nil {
					s.log.Warn("synthetic caller", "caller", demoNames[i], "err", err)
				}
				select {
				case <-ctx.Done():
				case <-time.After(time.Second): // then it calls again
				}
			}
		})
	}
	<-ctx.Done()
	return nil
}

// demoCall is one call of caller i, by SIP if i is even and as a browser if it
// is odd.
func demoCall(ctx context.Context, s *server, i int) error {
	speech := tone.NewSpeech(48000, uint64(i+1))
	cfg := caller.Config{
		Name: demoNames[i], Sound: speech.Read, Draw: caller.Moving(demoColors[i%len(demoColors)], 0.5+0.2*float64(i%5)),
		Log: slog.New(slog.DiscardHandler),
	}
	pick := func(a []*codecs.Audio, v []*codecs.Video) { cfg.Audio, cfg.Video = a[i/2%len(a)], v[i/2%len(v)] }
	dialing, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var call interface {
		Done() <-chan struct{}
		Close() error
	}
	if i%2 == 0 {
		pick([]*codecs.Audio{&g722.G722, &opus.Mono}, []*codecs.Video{&h264.H264, &vp8.VP8})
		sip, err := caller.DialSIP(dialing, netip.AddrPortFrom(s.reachable(), s.sipPort), demoRoom, cfg)
		if err != nil {
			return err
		}
		call = sip
	} else {
		pick([]*codecs.Audio{&opus.Mono}, []*codecs.Video{&vp8.VP8, &h264.H264})
		web, err := caller.DialWeb(dialing, s.webURL(), demoRoom, cfg)
		if err != nil {
			return err
		}
		call = web
	}
	select {
	case <-ctx.Done():
	case <-call.Done():
	}
	return call.Close()
}
