package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/skybridge-media/skybridge/bench/clip"
	"github.com/skybridge-media/skybridge/bench/codeccost"
)

func codecsCommand() *cobra.Command {
	path, seconds, asJSON := "", 5, false
	cmd := &cobra.Command{
		Use:   "codecs",
		Short: "Measure the codecs alone: the limit for everything else",
		Long: `Measures the CPU time per frame of every encoder, decoder and scaler here, and
what of that one call of a kind cannot do without. No server runs; a call in
"bench calls" costs more than this, and how much more is what to look at.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if seconds < 1 || seconds > 60 {
				return fmt.Errorf("--seconds %d: 1 to 60 are possible", seconds)
			}
			film, name, err := openFilm(path, seconds)
			if err != nil {
				return err
			}
			report, err := codeccost.NewMeter(film).Measure(name)
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(report)
			}
			return report.Print(cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.StringVar(&path, "clip", "", "H.264 byte stream (Annex B) `file` of 30 pictures per second to show; none: one is generated")
	f.IntVar(&seconds, "seconds", seconds, "how much of it, and of speech, to code in each pass")
	return cmd
}

// openFilm returns the beginning of the film at path, or one that is generated,
// and what to call it.
func openFilm(path string, seconds int) (*clip.Film, string, error) {
	pictures := seconds * clip.FrameRate
	if path == "" {
		return clip.Generate(1280, 720, pictures), fmt.Sprintf("generated film, %d s", seconds), nil
	}
	film, err := clip.Open(path)
	if err != nil {
		return nil, "", err
	}
	film = film.First(pictures)
	return film, fmt.Sprintf("%s, %d pictures of %dx%d", path, len(film.Pictures), film.Width(), film.Height()), nil
}
