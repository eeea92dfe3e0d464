package actors

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts what happens to actors of any kind. The kind label is the name
// of an actor package, never an actor.
type Metrics struct {
	deadLetters prometheus.Counter
	panics      *prometheus.CounterVec
	overflows   *prometheus.CounterVec
	waiting     *prometheus.GaugeVec
}

// NewMetrics registers the metrics with reg, or with nothing if reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	kind := []string{"kind"}
	return &Metrics{
		deadLetters: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_actors_dead_letters_total",
			Help: "Messages to actors that do not exist, have stopped, are full or are out of reach.",
		}),
		panics: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_actors_panics_total",
			Help: "Panics inside actors, each of which ended that actor, except for the node's.",
		}, kind),
		overflows: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_actors_mailbox_overflows_total",
			Help: "Messages that found a mailbox full and became dead letters.",
		}, kind),
		waiting: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skybridge_actors_mailbox_messages",
			Help: "Messages that wait in mailboxes, over all actors of a kind.",
		}, kind),
	}
}
