// Package grafana holds the dashboards: what operators look at, as tables of
// panels. The JSON files beside it, which Grafana 11 and later load, are made from
// them:
//
//	go test ./services/ops/grafana -update
//
// Tests hold that every panel says what it shows and when to worry, that every
// metric of docs/metrics.md is on a dashboard, and, in cmd/skybridge, that every
// query finds something in a Prometheus that scrapes running nodes.
package grafana

import "strings"

// A Dashboard is one page.
type Dashboard struct {
	Name  string // of the file, and of the URL
	Title string
	Text  string // what it is for
	Rows  []Row
}

// A Row is a heading with panels below.
type Row struct {
	Title  string
	Panels []Panel
}

// A Panel is one picture.
type Panel struct {
	Title string // in plain words
	Text  string // what is shown, and when to worry
	Unit  string // as Grafana calls it
	Look  Look

	// Queries are PromQL in which {@} stands for the nodes that were chosen and r,
	// in brackets, for the time that rates are over.
	Queries []Query

	Width int     // of 24; 0: as the look has it
	Max   float64 // of the axis; 0: as it comes

	// Warn and Bad are where the colour changes; with Bad below Warn, downwards.
	// Both 0: nowhere.
	Warn, Bad float64
}

// A Query is one set of lines in a panel.
type Query struct {
	Expr   string
	Legend string // with {{label}}
}

// A Look is the kind of a panel.
type Look int

// The kinds of panels.
const (
	Lines   Look = iota // over time
	Stacked             // over time, on top of each other
	Number              // the value of now
)

// All returns the dashboards, the most important first.
func All() []Dashboard { return []Dashboard{platform(), quality(), node(), sip(), webrtc(), cluster()} }

// Variables of the dashboards, as they stand in queries.
const (
	nodes    = `instance=~"$node"`
	interval = `$__rate_interval`
)

// promQL is the query as Grafana gets it.
func (q Query) promQL() string {
	return strings.NewReplacer("{@", "{"+nodes, "[r]", "["+interval+"]", "[r:", "["+interval+":").Replace(q.Expr)
}

// Shapes that queries have again and again.

// perSecond and perMinute are rates, summed by labels.
func perSecond(metric, by string) string { return "sum by (" + by + ") (rate(" + metric + "[r]))" }

func perMinute(metric, by string) string { return "60 * " + perSecond(metric, by) }

// quantile is one of a histogram, by labels. It is nothing while there is nothing
// to observe.
func quantile(q, metric, by string) string {
	if by != "" {
		by = ", " + by
	}
	return "histogram_quantile(" + q + ", sum by (le" + by + ") (rate(" + metric + "_bucket{@}[r])))"
}

// halfAndTail are the median and what one in twenty exceeds.
func halfAndTail(metric, by string) []Query {
	legend := ""
	if by != "" {
		legend = " {{" + strings.ReplaceAll(by, ", ", "}} {{") + "}}"
	}
	return []Query{
		{quantile("0.95", metric, by), "95 %" + legend},
		{quantile("0.5", metric, by), "half" + legend},
	}
}
