package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/skybridge-media/skybridge/bench/calls"
	"github.com/skybridge-media/skybridge/bench/load"
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
			r, err := calls.Run(cmd.Context(), cfg, calls.Deps{Start: startServer, Generator: generatorCommand, Log: log})
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(r)
			} else {
				err = printCalls(cmd.OutOrStdout(), r)
			}
			for _, row := range r.Rows {
				if !row.Verified.OK && err == nil {
					err = fmt.Errorf("%s %s was not verified: %v", row.Profile, row.Mode, row.Verified.Problems)
				}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.StringVar(&cfg.Profile, "profile", "all", "`profile` to measure: audio, sd, hd, all")
	f.StringVar(&cfg.Mode, "mode", "all", "`mode` to measure: meeting, personal, auditorium, all")
	f.StringVar(&cfg.Codec, "codec", "", "`codec` instead of those of the table: PCMU, PCMA, G722, opus; H264, VP8")
	f.StringVar(&cfg.Transport, "transport", "", "`transport` instead of those of the table: rtp, srtp")
	f.IntVar(&cfg.Participants, "participants", 0, "how many `calls`; 0 means as many as the table says")
	f.IntVar(&cfg.RoomSize, "room-size", 0, "`calls` in a room")
	f.IntVar(&cfg.Talkers, "talkers", 0, "how many in a room `talk`")
	f.IntVar(&cfg.Seconds, "seconds", 10, "how many `seconds` to measure each row")
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

func startServer(ctx context.Context, args ...string) (*calls.Server, error) {
	c, err := startChild(ctx, args...)
	if err != nil {
		return nil, err
	}
	return &calls.Server{SIP: c.sip, Metrics: c.metrics, PID: c.cmd.Process.Pid, Stop: c.stop}, nil
}

func generatorCommand(ctx context.Context) *exec.Cmd {
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	return exec.CommandContext(ctx, program, "bench", "load")
}

func printCalls(w io.Writer, r *calls.Result) error {
	fmt.Fprintf(w, "%s, %d vCPU\n\n", r.CPU, r.VCPUs)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "profile\tmode\tcodec\trooms of\tms/s per call\tper vCPU\t8 vCPU\tseed\tratio\tMiB per call\tverified\t")
	for _, row := range r.Rows {
		verified := "yes"
		if !row.Verified.OK {
			verified = "NO"
		}
		fmt.Fprintf(t, "%s\t%s\t%s %s\t%d\t%.3f\t%.1f\t%.0f\t%d\t%.1f\t%.2f\t%s\t\n", row.Profile, row.Mode, row.Codec, row.Transport,
			row.RoomSize, 1000*row.Cost, row.PerVCPU, row.Eight, row.Seed, row.Ratio, row.Memory/(1<<20), verified)
	}
	return t.Flush()
}
