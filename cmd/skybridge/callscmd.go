package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/skybridge-media/skybridge/bench/calls"
	"github.com/skybridge-media/skybridge/bench/load"
	"github.com/skybridge-media/skybridge/bench/result"
	"github.com/skybridge-media/skybridge/bus/embedded"
)

func callsCommand() *cobra.Command {
	cfg := calls.Config{}
	asJSON := false
	cmd := &cobra.Command{
		Use:   "calls",
		Short: "Measure how many calls a machine carries",
		Long: `Starts a server in a process of its own and calls it from another, by real SIP and
RTP on 127.0.0.1. The cost of a call is the server's CPU time, user and system,
per second and call. While it is measured, receivers verify that everybody
hears the others and not itself, and sees the right tiles, sharp and in time; a
run that fails verification reports no capacity.

Modes: personal (nobody sees or hears itself, everybody has a picture of its
own), meeting (all see the same picture; three talk), auditorium (one is seen
by many).

Capacity is 0.85 x vCPU / cost.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelInfo}))
			r, err := calls.Run(cmd.Context(), cfg, calls.Deps{Start: startServer, StartNATS: startNATS, Generator: generatorCommand, Log: log})
			if r == nil || len(r.Results) == 0 {
				return err
			}
			write := r.Print
			if asJSON {
				write = r.Write
			}
			// What was measured before something failed took its time, too.
			return errors.Join(err, write(cmd.OutOrStdout()), unverified(r))
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.StringVar(&cfg.Profile, "profile", "all", "`profile` to measure: audio, sd (448p), sd360, hd, all")
	f.StringVar(&cfg.Mode, "mode", "all", "`mode` to measure: meeting, personal, auditorium, all")
	f.StringVar(&cfg.Codec, "codec", "", "`codec` instead of those of the table: PCMU, PCMA, G722, opus; H264, VP8")
	f.StringVar(&cfg.Transport, "transport", "", "`transport` instead of those of the table: rtp, srtp, webrtc")
	f.StringVar(&cfg.Senders, "senders", "", "how `senders` of video choose bitrates, instead of the table: fixed, tmmbr (they obey TMMBR), simulcast, all")
	f.IntVar(&cfg.Participants, "participants", 0, "how many `calls`; 0 means as many as the table says")
	f.IntVar(&cfg.RoomSize, "room-size", 0, "how many `calls` in a room; 0 means as many as the table says")
	f.IntVar(&cfg.Talkers, "talkers", 0, "how many `callers` in a room talk; 0 means as many as the table says")
	f.IntVar(&cfg.Seconds, "seconds", 21, "how many `seconds` to measure each row")
	f.BoolVar(&cfg.Saturate, "saturate", false, "then load the machine to 85 % and verify that quality holds")
	f.BoolVar(&cfg.Smoke, "smoke", false, "measure a few small scenarios only, to compare with earlier runs")
	f.BoolVar(&cfg.Hang, "hang", false, "freeze NATS, the log and a browser while measuring")
	f.StringVar(&cfg.Clip, "clip", "", "H.264 byte stream `file` that callers send; none: one is generated")
	return cmd
}

// loadCommand is the other process. It is not for people.
func loadCommand() *cobra.Command {
	return &cobra.Command{
		Use: "load", Short: "Play callers, driven by standard input", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return load.Run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

func startServer(ctx context.Context, log *os.File, args ...string) (*calls.Server, error) {
	c, err := startChildLogging(ctx, log, args...)
	if err != nil {
		return nil, err
	}
	return &calls.Server{SIP: c.sip, Web: c.web, Metrics: c.metrics, PID: c.cmd.Process.Pid, Stop: c.stop}, nil
}

// natsCommand is a NATS server for measurements. It is not for people.
func natsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "nats", Short: "Run a NATS server for a measurement", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "skybridge-nats-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			server, err := embedded.Start(embedded.Config{Name: "bench", Dir: dir})
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), server.URL())
			<-cmd.Context().Done()
			return server.Close()
		},
	}
}

func startNATS(ctx context.Context) (*calls.NATS, error) {
	cmd := benchChild(ctx, "nats")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = cmd.Wait()
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return nil, fmt.Errorf("NATS did not start: %w", err)
	}
	return &calls.NATS{URL: strings.TrimSpace(url), PID: cmd.Process.Pid, Stop: stop}, nil
}

func generatorCommand(ctx context.Context) *exec.Cmd { return benchChild(ctx, "load") }

// benchChild is this program again, as another part of a measurement.
func benchChild(ctx context.Context, part string) *exec.Cmd {
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	return exec.CommandContext(ctx, program, "bench", part)
}

// unverified is an error if some calls did not get what they should.
func unverified(r *result.File) error {
	var errs []error
	for _, row := range r.Results {
		for _, f := range row.Verified.Failures {
			errs = append(errs, fmt.Errorf("%s: %s", row.Key, f))
		}
		if row.Saturated == nil {
			continue
		}
		for _, f := range row.Saturated.Verified.Failures {
			errs = append(errs, fmt.Errorf("%s, %d calls: %s", row.Key, row.Saturated.Participants, f))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("not everything could be verified:\n%w", errors.Join(errs...))
	}
	return nil
}
