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

// present is perMinute or perSecond of what happens at all, and of what is to be
// seen always: legends with a line for everything that might happen are not read.
func present(rate func(metric, by string) string, metric, by, always string) string {
	return rate(metric+"{@}", by) + " > 0 or " + rate(metric+"{@, "+always+"}", by)
}

// quantile is one of a histogram, by labels, over some time. It is nothing while
// there is nothing to observe.
func quantile(q, metric, by, over string) string {
	return "histogram_quantile(" + q + ", sum by (le, " + by + ") (rate(" + metric + "_bucket{@}" + over + ")))"
}

// halfAndTail are the median and what one in twenty exceeds.
func halfAndTail(metric, by string) []Query { return halves(metric, by, "[r]") }

// rarely is the same for what does not happen every minute.
func rarely(metric, by string) []Query { return halves(metric, by, "[15m]") }

func halves(metric, by, over string) []Query {
	legend := " {{" + strings.ReplaceAll(by, ", ", "}} {{") + "}}"
	return []Query{
		{quantile("0.95", metric, by, over), "95 %" + legend},
		{quantile("0.5", metric, by, over), "half" + legend},
	}
}
