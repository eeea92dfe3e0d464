package latency

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// busy waits for d and returns the share of the machine's CPU time that was not
// idle meanwhile, by /proc/stat (proc(5)).
func busy(ctx context.Context, d time.Duration) (float64, error) {
	idle0, total0, err := readStat()
	if err != nil {
		return 0, err
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(d):
	}
	idle1, total1, err := readStat()
	if err != nil {
		return 0, err
	}
	return 1 - float64(idle1-idle0)/float64(max(total1-total0, 1)), nil
}

func readStat() (idle, total uint64, err error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	var t [8]uint64 // user nice system idle iowait irq softirq steal
	if _, err := fmt.Sscanf(line, "cpu %d %d %d %d %d %d %d %d", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]); err != nil {
		return 0, 0, fmt.Errorf("/proc/stat: %w", err)
	}
	for _, v := range t {
		total += v
	}
	return t[3] + t[4], total, nil
}
