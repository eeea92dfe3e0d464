package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/skybridge-media/skybridge/bench/caller"
	"github.com/skybridge-media/skybridge/codecs/g711"
	"github.com/skybridge-media/skybridge/codecs/opus"
	"github.com/skybridge-media/skybridge/codecs/vp8"
	"github.com/skybridge-media/skybridge/codecs/yuv"
	"github.com/skybridge-media/skybridge/media/tone"
)

// TestDashboards lets a real Prometheus, with the configuration and the alerts
// that we ship, scrape two nodes of one cluster while phones and a browser are in
// a conference with sound and picture, and runs every query of every dashboard.
// Each finds numbers, and nothing calls for help. Then a node is killed, and that
// does.
func TestDashboards(t *testing.T) {
	needPeer(t, "prometheus")
	front, media := startCluster(t)
	prom := startPrometheus(t, map[string]string{"127.0.0.1:9464": front.Metrics, "127.0.0.1:9564": media.Metrics})
	prom.wantUp(t, 2)
	begin := time.Now()
	testCall(t, media)
	command := commander(t, front.NATS)

	dial(t, front, "x", "ann", 600) // is asked first and owns the conference, whose media is on the other
	dialVideo(t, media, "x", "bob", 900)
	dialVideoWeb(t, media, "x", "cho", 1200)
	wantRoster(t, 10*time.Second, "x", "ann bob cho", front, media)

	queries := shipped(t)
	eventually(t, 2*time.Minute, func() error {
		command("sky.api.conference.list", "{}")
		command("sky.api.conference.get", `{"room": ""}`) // which is wrong
		missing := ""
		queries = slices.DeleteFunc(queries, func(q query) bool {
			why := prom.check(t, q, begin)
			if why != "" {
				missing += "\n" + q.where + ": " + why
			}
			return why == ""
		})
		if len(queries) > 0 {
			return fmt.Errorf("%d queries without an answer:%s", len(queries), missing)
		}
		return nil
	})
	for expr, want := range map[string]float64{
		`sum(skybridge_node_calls)`: 3, `sum(skybridge_conference_active)`: 1, `sum(skybridge_conference_participants)`: 3,
		`sum(skybridge_rtp_port_pairs)`: 100, `sum(skybridge_nats_connected)`: 2,
		`sum(skybridge_webrtc_connected_total)`: 1, `sum(skybridge_port_open{protocol="sip"})`: 2, `sum(skybridge_port_open{protocol="webrtc"})`: 1,
	} {
		if got := prom.now(t, expr); got != want {
			t.Errorf("%s is %v, want %v", expr, got, want)
		}
	}

	// On a machine that others use too, ticks may be late.
	busy := []string{"SkybridgeLateTicks", "SkybridgePicturesDropped", "SkybridgePacketLoss", "SkybridgeDiskFilling"}
	for _, a := range prom.alerts(t) {
		if !slices.Contains(busy, a) {
			t.Errorf("%s asks for help, and all is well", a)
		}
	}
	lose(t, media, syscall.SIGKILL)
	eventually(t, 20*time.Second, func() error {
		if got := prom.alerts(t); !slices.Contains(got, "SkybridgeNodeDown") {
			return fmt.Errorf("a node is dead, and the alerts are %v", got)
		}
		return nil
	})
}

// testCall makes a test call, and hangs up after a moment.
func testCall(t *testing.T, p *program) {
	t.Helper()
	call, err := caller.DialSIP(t.Context(), netip.MustParseAddrPort(p.SIP), "test-call", caller.Config{
		Name: "dan", Audio: &g711.PCMU, Sound: tone.New(48000, -20, 700).Read,
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(7 * time.Second) // until reports have gone both ways
	_ = call.Close()
}

// commander returns a function that gives a command as an integration does,
// whatever the answer.
func commander(t *testing.T, url string) func(subject, request string) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return func(subject, request string) {
		t.Helper()
		if _, err := nc.Request(subject, []byte(request), 5*time.Second); err != nil {
			t.Errorf("%s: %v", subject, err)
		}
	}
}

// dialVideo is dial for a phone with a small picture.
func dialVideo(t *testing.T, p *program, room, name string, hz float64) {
	t.Helper()
	call, err := caller.DialSIP(t.Context(), netip.MustParseAddrPort(p.SIP), room, small(caller.Config{
		Name: name, Audio: &g711.PCMU, Sound: tone.New(48000, -20, hz).Read,
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = call.Close() })
}

// dialVideoWeb is dialWeb for a browser with a small picture.
func dialVideoWeb(t *testing.T, p *program, room, name string, hz float64) {
	t.Helper()
	call, err := caller.DialWeb(t.Context(), p.Web, room, small(caller.Config{
		Name: name, Audio: &opus.Mono, Sound: tone.New(48000, -20, hz).Read,
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = call.Close() })
}

func small(c caller.Config) caller.Config {
	c.Video, c.Draw = &vp8.VP8, caller.Moving(yuv.Color{Y: 120, U: 90, V: 160}, 1)
	c.Width, c.Height, c.FrameRate = 320, 180, 5
	return c
}

// A query is one of a dashboard, as Grafana would send it.
type query struct{ where, expr, unit string }

// shipped are the queries of the files that Grafana loads.
func shipped(t *testing.T) (all []query) {
	t.Helper()
	files, err := filepath.Glob("../../services/ops/grafana/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards (%v)", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Title  string
			Panels []struct {
				Title       string
				FieldConfig struct{ Defaults struct{ Unit string } }
				Targets     []struct{ Expr, LegendFormat string }
			}
		}
		if err := json.Unmarshal(b, &page); err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Panels {
			for _, target := range p.Targets {
				all = append(all, query{
					where: page.Title + " / " + p.Title + " / " + target.LegendFormat, unit: p.FieldConfig.Defaults.Unit,
					expr: strings.NewReplacer("$__rate_interval", "10s", "$node", "(a|b)").Replace(target.Expr),
				})
			}
		}
	}
	return all
}

// A monitor is a Prometheus.
type monitor struct{ url string }

// startPrometheus runs one with our configuration, which scrapes these instead,
// and every second.
func startPrometheus(t *testing.T, targets map[string]string) *monitor {
	t.Helper()
	dir := t.TempDir()
	b, err := os.ReadFile("../../services/ops/prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs("../../services/ops/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	pairs := []string{"alerts.yml", rules, "15s", "1s"}
	for shipped, running := range targets {
		at, err := url.Parse(running)
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, shipped, at.Host)
	}
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte(strings.NewReplacer(pairs...).Replace(string(b))), 0o600); err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	var log strings.Builder
	cmd := exec.Command("prometheus", "--config.file", config, "--storage.tsdb.path", filepath.Join(dir, "tsdb"), "--web.listen-address", at, "--log.level", "warn")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("what Prometheus logged:\n%s", log.String())
		}
	})
	return &monitor{"http://" + at}
}

// get asks the HTTP API.
func (m *monitor) get(path string, args url.Values, data any) error {
	resp, err := http.Get(m.url + path + "?" + args.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s", answer.Error)
	}
	return json.Unmarshal(answer.Data, data)
}

// wantUp waits until nodes are scraped, under the names that dashboards offer.
func (m *monitor) wantUp(t *testing.T, n int) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		var names []string
		if err := m.get("/api/v1/label/instance/values", url.Values{"match[]": {"skybridge_build_info"}}, &names); err != nil {
			return err
		}
		if len(names) != n {
			return fmt.Errorf("the nodes are %v, want %d", names, n)
		}
		return nil
	})
}

// check runs a query as a panel does, over the time since begin, and says what is
// wrong with the answer: every query has at least one number, and none is
// impossible.
func (m *monitor) check(t *testing.T, q query, begin time.Time) (why string) {
	t.Helper()
	var data struct {
		Result []struct {
			Metric map[string]string
			Values [][2]any
		}
	}
	err := m.get("/api/v1/query_range", url.Values{
		"query": {q.expr}, "step": {"1"},
		"start": {fmt.Sprint(begin.Unix())}, "end": {fmt.Sprint(time.Now().Unix())},
	}, &data)
	if err != nil {
		t.Fatalf("%s: %s: %v", q.where, q.expr, err)
	}
	numbers := 0
	for _, series := range data.Result {
		for _, v := range series.Values {
			n, err := strconv.ParseFloat(v[1].(string), 64)
			if err != nil {
				t.Fatalf("%s: %v", q.where, err)
			}
			if math.IsNaN(n) {
				continue
			}
			numbers++
			if math.IsInf(n, 0) || n < 0 || q.unit == "percentunit" && n > 1.2 { // rates are extrapolated
				t.Errorf("%s: %v is %v", q.where, series.Metric, n)
			}
		}
	}
	if numbers == 0 {
		return fmt.Sprintf("%d series and no number: %s", len(data.Result), q.expr)
	}
	return ""
}

// now is the value of an expression that has one.
func (m *monitor) now(t *testing.T, expr string) float64 {
	t.Helper()
	var data struct{ Result []struct{ Value [2]any } }
	if err := m.get("/api/v1/query", url.Values{"query": {expr}}, &data); err != nil {
		t.Fatal(err)
	}
	if len(data.Result) != 1 {
		t.Fatalf("%s has %d values", expr, len(data.Result))
	}
	n, err := strconv.ParseFloat(data.Result[0].Value[1].(string), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// alerts are the names of those that fire, or will when their time is over.
func (m *monitor) alerts(t *testing.T) (names []string) {
	t.Helper()
	var data struct {
		Alerts []struct{ Labels map[string]string }
	}
	if err := m.get("/api/v1/alerts", nil, &data); err != nil {
		t.Fatal(err)
	}
	for _, a := range data.Alerts {
		names = append(names, a.Labels["alertname"])
	}
	slices.Sort(names)
	return slices.Compact(names)
}
