package sip_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/services/sip"
)

// TestMetricsLint calls once each way, so that every metric has a value.
func TestMetricsLint(t *testing.T) {
	reg := prometheus.NewRegistry()
	b := newBench(t, func(_ *sip.Config, d *sip.Deps) { d.Metrics = sip.NewMetrics(reg) })
	u := newUA(b, "TCP")
	u.call("room").bye()
	u.write(u.draft("INVITE", "nobody").sdp(audioOffer).String())
	u.expect(404, "INVITE")
	c := b.dial(newUA(b, "UDP"))
	c.answer()
	c.bye()
	next[*participant.Connect](t, b.Node.participant(t, 1))
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			labels := f.GetName()
			for _, l := range m.Label {
				labels += " " + l.GetValue()
			}
			got[labels] += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"skybridge_sip_calls_total incoming 2xx": 1, "skybridge_sip_calls_total incoming 4xx": 1, "skybridge_sip_calls_total outgoing 2xx": 1,
		"skybridge_sip_setup_seconds incoming": 1, "skybridge_sip_setup_seconds outgoing": 1,
		"skybridge_sip_requests_total received invite": 2, "skybridge_sip_requests_total sent invite": 1,
		"skybridge_sip_requests_total received bye": 2, "skybridge_sip_connections TCP": 1,
		"skybridge_sip_failures_total 404 incoming": 1, "skybridge_sip_failures_total 302 incoming": 0,
		"skybridge_sip_messages_total received TCP": 4, // INVITE, ACK, BYE; INVITE, whose ACK never comes
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}
