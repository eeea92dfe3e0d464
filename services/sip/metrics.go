package sip

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts what the service does. No label carries a call, an address or
// anything else that a peer chooses.
type Metrics struct {
	calls           *prometheus.CounterVec
	failures        *prometheus.CounterVec
	messages        *prometheus.CounterVec
	setup           *prometheus.HistogramVec
	dialogs         prometheus.Gauge
	requests        *prometheus.CounterVec
	responses       *prometheus.CounterVec
	malformed       *prometheus.CounterVec
	retransmissions *prometheus.CounterVec
	dropped         *prometheus.CounterVec
	connections     *prometheus.GaugeVec
	expired         prometheus.Counter
	panics          prometheus.Counter
}

// setupBuckets are those of all signalling: 50 ms to 30 s.
var setupBuckets = []float64{0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 20, 30}

// NewMetrics registers the metrics with reg, or with nothing if reg is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		failures: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_sip_failures_total",
			Help: "Calls that came to nothing, by direction and the status code of the final response to their INVITE; timeout, canceled and failed stand beside the codes.",
		}, []string{"direction", "code"}),
		messages: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_sip_messages_total",
			Help: "Messages that were received, or sent, by transport; retransmissions included.",
		}, []string{"direction", "transport"}),
		calls: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_sip_calls_total",
			Help: "Calls by direction and by the class of the final response to their INVITE; canceled, timeout and failed stand beside 2xx to 6xx.",
		}, []string{"direction", "result"}),
		setup: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "skybridge_sip_setup_seconds",
			Help:    "Time from the INVITE to the 200 of calls that were answered, by direction.",
			Buckets: setupBuckets,
		}, []string{"direction"}),
		dialogs: f.NewGauge(prometheus.GaugeOpts{
			Name: "skybridge_sip_dialogs",
			Help: "Calls that exist now, from the first INVITE to the last BYE.",
		}),
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_sip_requests_total",
			Help: "Requests by direction and method, retransmissions not included.",
		}, []string{"direction", "method"}),
		responses: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_sip_responses_total",
			Help: "Responses by direction and class of status code, retransmissions not included in those sent.",
		}, []string{"direction", "class"}),
		malformed: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_sip_malformed_total",
			Help: "Messages that could not be parsed or lacked what they need, by transport.",
		}, []string{"transport"}),
		retransmissions: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_sip_retransmissions_total",
			Help: "Messages that were sent or received once more, by direction.",
		}, []string{"direction"}),
		dropped: f.NewCounterVec(prometheus.CounterOpts{
			Name: "skybridge_sip_dropped_total",
			Help: "Messages and connections that were dropped unanswered, by reason.",
		}, []string{"reason"}),
		connections: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skybridge_sip_connections",
			Help: "TCP and TLS connections that are open now, by transport.",
		}, []string{"transport"}),
		expired: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_sip_sessions_expired_total",
			Help: "Calls that ended because no session refresh came in time.",
		}),
		panics: f.NewCounter(prometheus.CounterOpts{
			Name: "skybridge_sip_panics_total",
			Help: "Panics that were contained in the message or the call that caused them.",
		}),
	}
	m.prepare()
	return m
}

// prepare makes every series: a rate needs a value before the first event.
func (m *Metrics) prepare() {
	for _, direction := range []string{incoming, outgoing} {
		m.setup.WithLabelValues(direction)
		for _, result := range []string{"2xx", "3xx", "4xx", "5xx", "6xx", resultTimeout, resultCanceled, resultFailed} {
			m.calls.WithLabelValues(direction, result)
		}
		for _, code := range codes {
			m.failures.WithLabelValues(direction, codeLabel(code))
		}
		for _, other := range []string{"other", resultTimeout, resultCanceled, resultFailed} {
			m.failures.WithLabelValues(direction, other)
		}
	}
	for _, direction := range []string{received, sent} {
		m.retransmissions.WithLabelValues(direction)
		m.requests.WithLabelValues(direction, "other")
		for _, method := range methods {
			m.requests.WithLabelValues(direction, methodLabel(method))
		}
		for _, code := range []int{100, 200, 300, 400, 500, 600} {
			m.responses.WithLabelValues(direction, class(code))
		}
		for _, transport := range []string{"UDP", "TCP", "TLS"} {
			m.messages.WithLabelValues(direction, transport)
		}
	}
	for _, transport := range []string{"UDP", "TCP", "TLS"} {
		m.malformed.WithLabelValues(transport)
		if transport != "UDP" {
			m.connections.WithLabelValues(transport)
		}
	}
	for _, reason := range []string{dropFlood, dropConnection, dropSlow, dropUnmatched, dropOverflow} {
		m.dropped.WithLabelValues(reason)
	}
}

// ended counts a call whose INVITE got a final response.
func (m *Metrics) ended(direction string, code int) {
	m.calls.WithLabelValues(direction, class(code)).Inc()
	if code >= 300 {
		m.failures.WithLabelValues(direction, codeLabel(code)).Inc()
	}
}

// abandoned counts a call that ended without one.
func (m *Metrics) abandoned(direction, result string) {
	m.calls.WithLabelValues(direction, result).Inc()
	m.failures.WithLabelValues(direction, result).Inc()
}

// Values of labels.
const (
	received = "received"
	sent     = "sent"

	incoming = "incoming"
	outgoing = "outgoing"

	resultTimeout  = "timeout"
	resultCanceled = "canceled"
	resultFailed   = "failed"

	dropFlood      = "flood"      // more messages from one source than allowed
	dropConnection = "connection" // more connections than allowed
	dropSlow       = "slow"       // a handshake or a message took too long
	dropUnmatched  = "unmatched"  // an ACK or a response to nothing we know
	dropOverflow   = "overflow"   // a call's mailbox was full
)

// methods that are counted by name; everything else is "other".
var methods = []string{
	"ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH", "REFER",
	"REGISTER", "SUBSCRIBE", "UPDATE",
}

func methodLabel(method string) string {
	if _, known := slices.BinarySearch(methods, method); known {
		return strings.ToLower(method)
	}
	return "other"
}

// codes are the status codes that are counted by number; everything else is
// "other". In order.
var codes = []int{302, 400, 401, 403, 404, 408, 415, 420, 480, 481, 486, 487, 488, 491, 500, 503, 504, 600, 603}

func codeLabel(code int) string {
	if _, known := slices.BinarySearch(codes, code); known {
		return strconv.Itoa(code)
	}
	return "other"
}

// class is the label for a status code.
func class(code int) string {
	if code < 100 || code > 699 {
		return "other"
	}
	return fmt.Sprintf("%dxx", code/100)
}
