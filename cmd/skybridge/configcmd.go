package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Look at configuration files"}
	cmd.AddCommand(&cobra.Command{
		Use:   "check FILE",
		Short: "Say everything that is wrong with a configuration file",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var c config
			fs := pflag.NewFlagSet("check", pflag.ContinueOnError)
			c.flags(fs)
			c.File = args[0]
			if err := c.load(fs, nil); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d rooms, no mistakes\n", c.File, len(c.Rooms))
			return nil
		},
	})
	return cmd
}
