package result

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// instances are those that capacity is projected to, with their vCPUs.
var instances = []struct {
	name  string
	vcpus int
}{
	{"c5.large", 2}, {"c5.xlarge", 4}, {"c5.2xlarge", C52XLarge}, {"c5.4xlarge", 16}, {"c5.9xlarge", 36},
}

// Print writes two tables: what a call costs, and how many calls that makes on
// instances of EC2.
func (f *File) Print(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d vCPU\n\n", f.CPU.Model, f.CPU.VCPUs)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "calls\tmeasured\tms/s per call\tof it codecs\tMiB\tpictures/s\tPSNR\tlate ticks\tverified\t")
	for i := range f.Results {
		r := &f.Results[i]
		v := &r.Verified
		fmt.Fprintf(t, "%s\t%d\t%.3f\t%s\t%.2f\t%s\t%s\t%.3f %%\t%s\t\n", r.Key, r.Participants, 1000*r.Cost, number(1000*r.CodecCost, 3),
			float64(r.RSSPerCall)/(1<<20), number(v.FrameRate, 1), number(v.PSNR, 1), 100*v.LateTicks, yes(v.OK))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nCalls at %.0f %% of the processors:\n\n", 100*Usable)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "calls\tper vCPU\t")
	for _, in := range instances {
		fmt.Fprintf(t, "%s\t", in.name)
	}
	fmt.Fprintln(t, "reference\tratio\trequired\t")
	for i := range f.Results {
		r := &f.Results[i]
		fmt.Fprintf(t, "%s\t%s\t", r.Key, number(r.CallsPerVCPU, 1))
		for _, in := range instances {
			fmt.Fprintf(t, "%s\t", number(r.CallsPerVCPU*float64(in.vcpus), 0))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t\n", number(r.Seed, 0), number(r.RatioToSeed, 1), number(r.Reach, 0))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(w, `
The reference is read for c5.2xlarge. Projections are linear; two vCPUs of an
instance share a core, which dense codecs notice. From 36 vCPUs on, memory has
several nodes: run a node for each of them.
`)
	return err
}

// number is empty for what is not known.
func number(v float64, digits int) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.*f", digits, v)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "NO"
}
