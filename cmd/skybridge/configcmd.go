package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Look at configuration files"}
	cmd.AddCommand(&cobra.Command{
		Use:   "check FILE",
		Short: "Say everything that is wrong with a configuration file",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one file: skybridge config check FILE")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var c config
			fs := pflag.NewFlagSet("check", pflag.ContinueOnError)
			c.flags(fs)
			c.File = args[0]
			if err := c.load(fs, nil); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: no mistakes; rooms: %d\n", c.File, len(c.Rooms))
			return nil
		},
	})
	return cmd
}
