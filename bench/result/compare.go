package result

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// A Change is one kind of call in two files. A side that lacks it is nil.
type Change struct {
	Key
	Old, New *Row
}

// Compare pairs the rows of both files, in the order of the older, then what is
// new.
func Compare(old, now *File) []Change {
	rows := map[Key]*Row{}
	for i := range now.Results {
		rows[now.Results[i].Key] = &now.Results[i]
	}
	var changes []Change
	for i := range old.Results {
		r := &old.Results[i]
		changes = append(changes, Change{r.Key, r, rows[r.Key]})
		delete(rows, r.Key)
	}
	for i := range now.Results {
		if r := &now.Results[i]; rows[r.Key] != nil {
			changes = append(changes, Change{Key: r.Key, New: r})
		}
	}
	return changes
}

// Both reports whether the two files have the row.
func (c Change) Both() bool { return c.Old != nil && c.New != nil }

// Judged reports whether the two rows can be compared across machines: both
// know their codec-only cost.
func (c Change) Judged() bool { return c.Both() && c.Old.BridgeRatio > 0 && c.New.BridgeRatio > 0 }

// Alike reports whether the two rows are of the same work, as far as the files
// tell: pictures, sound and who talks. How many calls there are may differ.
func (c Change) Alike() bool {
	work := func(r *Row) [5]int {
		levels := 0
		if r.Levels {
			levels = 1
		}
		return [5]int{r.Talkers, r.Width, r.Height, r.Bitrate, levels}
	}
	return c.Both() && work(c.Old) == work(c.New)
}

// Regression says by which share the engine's part got dearer: 0.2 for a fifth,
// negative for cheaper. It is zero for rows that are not Judged.
func (c Change) Regression() float64 {
	if !c.Judged() {
		return 0
	}
	return c.New.BridgeRatio/c.Old.BridgeRatio - 1
}

// Broken reports whether the calls worked before and do not any more.
func (c Change) Broken() bool { return c.Both() && c.Old.Verified.OK && !c.New.Verified.OK }

// Print writes one line per change.
func Print(w io.Writer, changes []Change) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "call\tms/s\tnow\tchange\tover codecs\tnow\tchange\tcalls\tnow\t")
	for _, c := range changes {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Key,
			c.Old.ms(), c.New.ms(), c.percent(costs),
			c.Old.ratio(), c.New.ratio(), c.percent(ratios),
			c.Old.calls(), c.New.calls(), c.remark())
	}
	return t.Flush()
}

func costs(r *Row) float64  { return r.Cost }
func ratios(r *Row) float64 { return r.BridgeRatio }

func (c Change) percent(of func(*Row) float64) string {
	if !c.Both() || of(c.Old) == 0 || of(c.New) == 0 {
		return "–"
	}
	return fmt.Sprintf("%+.1f %%", 100*(of(c.New)/of(c.Old)-1))
}

func (c Change) remark() string {
	switch {
	case c.Old == nil:
		return "  only in the newer"
	case c.New == nil:
		return "  only in the older"
	case c.Broken():
		return "  does not work any more"
	case !c.Alike():
		return "  not the same work"
	case !c.Judged():
		return "  no codec-only cost to compare with"
	}
	return ""
}

func (r *Row) ms() string {
	if r == nil {
		return "–"
	}
	return fmt.Sprintf("%.2f", 1000*r.Cost)
}

func (r *Row) ratio() string {
	if r == nil || r.BridgeRatio == 0 {
		return "–"
	}
	return fmt.Sprintf("%.3f", r.BridgeRatio)
}

func (r *Row) calls() string {
	if r == nil || r.CallsC5 == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f", r.CallsC5)
}
