package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/skybridge-media/skybridge/bench/result"
)

func compareCommand() *cobra.Command {
	most := 0.0
	cmd := &cobra.Command{
		Use:   "compare OLD.json NEW.json",
		Short: "Compare two results of bench calls",
		Long: `Prints what a call costs in two results of "bench calls --json", and how often
the cost of its codecs alone that is. The latter can be compared across
machines and loads. With --max-regression, fails if it has grown by more than
that, if calls that worked do not any more, or if a row is missing or of other work.`,
		Example: "  skybridge bench compare --max-regression 0.20 old.json new.json",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			old, err := result.Read(args[0])
			if err != nil {
				return err
			}
			now, err := result.Read(args[1])
			if err != nil {
				return err
			}
			changes := result.Compare(old, now)
			if err := result.Print(cmd.OutOrStdout(), changes); err != nil {
				return err
			}
			if !cmd.Flags().Changed("max-regression") {
				return nil
			}
			if !(most >= 0) { // nor what is not a number
				return fmt.Errorf("max-regression: %v is not a share", most)
			}
			return judge(changes, most)
		},
	}
	cmd.Flags().Float64Var(&most, "max-regression", 0, "by which share the ratio may grow: 0.20 for a fifth (default not judged)")
	return cmd
}

// judge returns an error that names every row that got worse by more than most.
// To have nothing to judge is one too: a guard that guards nothing looks like one
// that is content.
func judge(changes []result.Change, most float64) error {
	var bad []error
	judged := 0
	for _, c := range changes {
		switch {
		case c.New == nil:
			bad = append(bad, fmt.Errorf("%s: missing in the newer", c.Key))
		case c.Broken():
			bad = append(bad, fmt.Errorf("%s: does not work any more: %v", c.Key, c.New.Verified.Failures))
		case c.Both() && !c.Alike():
			bad = append(bad, fmt.Errorf("%s: not the same work in both", c.Key))
		case c.Both() && c.Old.BridgeRatio > 0 && c.New.BridgeRatio == 0:
			bad = append(bad, fmt.Errorf("%s: the newer does not know the cost of its codecs", c.Key))
		case c.Regression() > most:
			bad = append(bad, fmt.Errorf("%s: costs %.3f times its codecs, %.3f before: %+.1f %%",
				c.Key, c.New.BridgeRatio, c.Old.BridgeRatio, 100*c.Regression()))
		}
		if c.Judged() {
			judged++
		}
	}
	if judged == 0 && len(bad) == 0 {
		return errors.New("compare: no row of both files knows the cost of its codecs")
	}
	return errors.Join(bad...)
}
