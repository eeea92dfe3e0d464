// Command skybridge is the media and job engine: every service in one process.
//
// This package parses flags, reads configuration and wires the other packages
// together; it decides nothing.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "skybridge:", err)
		os.Exit(1)
	}
}

// root returns the command tree.
func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "skybridge",
		Short:         "Conferences for SIP phones, room systems and browsers",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
	}
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.AddCommand(serveCommand(), demoCommand(), benchCommand(), configCommand())
	return cmd
}

// version is what the build recorded: the module's version, or the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && v == "(devel)" {
			v = s.Value[:min(12, len(s.Value))]
		}
	}
	return v
}
