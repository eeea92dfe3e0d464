package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skybridge-media/skybridge/actors"
	"github.com/skybridge-media/skybridge/actors/conference"
	"github.com/skybridge-media/skybridge/actors/node"
	"github.com/skybridge-media/skybridge/actors/participant"
	"github.com/skybridge-media/skybridge/actors/testcall"
	"github.com/skybridge-media/skybridge/actors/transcoder"
	"github.com/skybridge-media/skybridge/bus/claim"
	"github.com/skybridge-media/skybridge/bus/natsbus"
	"github.com/skybridge-media/skybridge/bus/remote"
	"github.com/skybridge-media/skybridge/media/bridge"
	"github.com/skybridge-media/skybridge/media/rtp"
	"github.com/skybridge-media/skybridge/services/api"
	"github.com/skybridge-media/skybridge/services/sip"
	"github.com/skybridge-media/skybridge/services/web"
	"github.com/skybridge-media/skybridge/services/webrtc"
)

var update = flag.Bool("update", false, "rewrite docs/metrics.md")

// TestMetricsPage compares docs/metrics.md with the metrics of every package.
// Run with -update after a change that is meant.
func TestMetricsPage(t *testing.T) {
	reg := &described{}
	_ = []any{
		actors.NewMetrics(reg), conference.NewMetrics(reg), node.NewMetrics(reg), participant.NewMetrics(reg), transcoder.NewMetrics(reg),
		claim.NewMetrics(reg), natsbus.NewMetrics(reg), remote.NewMetrics(reg), bridge.NewMetrics(reg), portMetrics(reg, "sip"), rtp.NewMetrics(reg),
		testcall.NewMetrics(reg), api.NewMetrics(reg), sip.NewMetrics(reg), webrtc.NewMetrics(reg),
	}
	reg.MustRegister(buildInfo(), processors(), newLogWriter(io.Discard).lost(), &rtp.PortRange{}, &disk{}, web.Expiry(tls.Certificate{Leaf: &x509.Certificate{}}))
	const file = "../../docs/metrics.md"
	want := reg.page()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the code says; run go test ./cmd/skybridge -run TestMetricsPage -update", file)
	}
}

// described is a registerer that remembers descriptions.
type described struct{ rows []string }

// desc takes a description apart, whose only way out is its text.
var desc = regexp.MustCompile(`fqName: "([^"]*)", help: "((?:[^"\\]|\\.)*)", .*constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)

// value is that of a label which is the same for all series of a description.
var value = regexp.MustCompile(`="[^"]*"`)

func (d *described) Register(c prometheus.Collector) error {
	ch := make(chan *prometheus.Desc, 64)
	go func() { c.Describe(ch); close(ch) }()
	for m := range ch {
		f := desc.FindStringSubmatch(m.String())
		if f == nil {
			return fmt.Errorf("cannot read %s", m)
		}
		var labels []string
		for _, set := range []string{value.ReplaceAllString(f[3], ""), f[4]} {
			if set != "" {
				labels = append(labels, "`"+strings.ReplaceAll(set, ",", "`, `")+"`")
			}
		}
		d.rows = append(d.rows, fmt.Sprintf("| `%s` | %s | %s |\n", f[1], strings.Join(labels, ", "), strings.ReplaceAll(f[2], `\"`, `"`)))
	}
	return nil
}

func (d *described) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := d.Register(c); err != nil {
			panic(err)
		}
	}
}

func (d *described) Unregister(prometheus.Collector) bool { return false }

func (d *described) page() string {
	slices.Sort(d.rows)
	return "# Metrics\n\nWhat `/metrics` shows besides the Go runtime and the process. Generated from the code.\n\n" +
		"| metric | labels | what it says |\n| --- | --- | --- |\n" + strings.Join(slices.Compact(d.rows), "")
}
