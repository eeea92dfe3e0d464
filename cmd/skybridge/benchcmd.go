package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/skybridge-media/skybridge/bench/latency"
)

func benchCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Short: "Measure this machine"}
	cmd.AddCommand(latencyCommand(), callsCommand(), codecsCommand(), compareCommand(), loadCommand(), natsCommand())
	return cmd
}

func latencyCommand() *cobra.Command {
	cfg := latency.Config{}
	asJSON := false
	cmd := &cobra.Command{
		Use:   "latency",
		Short: "Measure the time from a frame in to a frame out",
		Long: `Starts a server in a process of its own, lets HD participants into its rooms over
real SIP and RTP until this machine is as busy as --load says, and measures how
long beeps and flashes take from the packet that brings them in to the packet
that takes them out. Load generators run on the same machine and count.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelInfo}))
			server, err := startChild(cmd.Context(), "--adhoc", "--adhoc-self-view", "shown", "--rtp-ports", "40000-41999")
			if err != nil {
				return err
			}
			defer server.stop()
			cfg.Server = server.sip
			r, err := latency.Run(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(r)
			}
			return printLatency(cmd.OutOrStdout(), r)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.IntVar(&cfg.Seconds, "seconds", 60, "how long to measure")
	f.Float64Var(&cfg.Load, "load", 0.70, "most of this machine's CPU to use, 0 to 1")
	f.IntVar(&cfg.Room, "room-size", 8, "participants in a room")
	return cmd
}

func printLatency(w io.Writer, r *latency.Result) error {
	fmt.Fprintf(w, "%d HD participants, %d CPUs, %.0f %% busy\n\n", r.Participants, r.CPUs, 100*r.Load)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tmedian\tp95\tmax\tarrived\t")
	for _, row := range []struct {
		name string
		f    latency.Figures
	}{{"audio", r.Audio}, {"video", r.Video}} {
		fmt.Fprintf(t, "%s\t%.1f ms\t%.1f ms\t%.1f ms\t%d of %d\t\n", row.name, row.f.Median, row.f.P95, row.f.Max, row.f.Samples, row.f.Sent)
	}
	return t.Flush()
}
