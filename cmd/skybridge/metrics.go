package main

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skybridge-media/skybridge/media/port"
)

// buildInfo is the one metric that says which build this is.
func buildInfo() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "skybridge_build_info", Help: "Always 1; the label says which version runs.",
		ConstLabels: prometheus.Labels{"version": version()},
	})
	g.Set(1)
	return g
}

// processors is what the CPU time of the process is a part of.
func processors() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "skybridge_process_cpus", Help: "Processors that the process may use.",
	})
	g.Set(float64(runtime.NumCPU()))
	return g
}

// portMetrics are those of the media of one protocol's calls.
func portMetrics(reg prometheus.Registerer, protocol string) *port.Metrics {
	return port.NewMetrics(prometheus.WrapRegistererWith(prometheus.Labels{"protocol": protocol}, reg))
}

// A disk is the file system of a directory, which may not exist yet, and a
// [prometheus.Collector]. Where nothing can be told there is no sample.
type disk struct{ dir string }

var (
	diskFree = prometheus.NewDesc("skybridge_data_free_bytes", "Space on the file system of the data directory that the process may use.", nil, nil)
	diskSize = prometheus.NewDesc("skybridge_data_size_bytes", "Size of the file system of the data directory.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (d *disk) Describe(c chan<- *prometheus.Desc) {
	c <- diskFree
	c <- diskSize
}

// Collect implements [prometheus.Collector].
func (d *disk) Collect(c chan<- prometheus.Metric) {
	free, size, err := space(d.dir)
	if err != nil {
		return
	}
	c <- prometheus.MustNewConstMetric(diskFree, prometheus.GaugeValue, float64(free))
	c <- prometheus.MustNewConstMetric(diskSize, prometheus.GaugeValue, float64(size))
}
