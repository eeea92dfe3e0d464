package grafana_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/skybridge-media/skybridge/services/ops/grafana"
)

var update = flag.Bool("update", false, "rewrite dashboards/*.json")

// TestFiles compares the files with the tables. Run with -update after a change
// that is meant.
func TestFiles(t *testing.T) {
	names := map[string]bool{}
	for _, d := range grafana.All() {
		file := filepath.Join("dashboards", d.Name+".json")
		names[file] = true
		want, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the code says; run go test ./services/ops/grafana -update", file)
		}
	}
	files, err := filepath.Glob("dashboards/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !names[file] {
			t.Errorf("%s is of no dashboard", file)
		}
	}
}

// A page is as much of Grafana's schema as the tests look at.
type page struct {
	UID           string
	Title         string
	Description   string
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Type string }
	}
	Annotations struct {
		List []struct{ Expr string }
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ Type, UID string }
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct {
		Defaults struct {
			Unit       string
			Thresholds struct {
				Steps []struct {
					Color string
					Value *float64
				}
			}
		}
	}
	Targets []struct{ RefID, Expr, LegendFormat string }
}

// pages reads the files, as Grafana does.
func pages(t *testing.T) []page {
	t.Helper()
	files, err := filepath.Glob("dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards (%v)", err)
	}
	all := make([]page, len(files))
	for i, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &all[i]); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return all
}

// units are names of Grafana's (packages/grafana-data/src/valueFormats); one that
// it does not know it shows as a suffix.
var units = []string{
	"bool_on_off", "bool_yes_no", "bps", "bytes", "cpm", "cps", "eps", "mps", "percentunit", "pps", "reqps", "s", "short",
}

// TestPanels wants of every panel what an operator needs who sees it for the
// first time, and of every page what Grafana needs to show it.
func TestPanels(t *testing.T) {
	uids := map[string]bool{}
	for _, d := range pages(t) {
		if d.UID == "" || uids[d.UID] || d.Title == "" || d.Description == "" || d.SchemaVersion < 39 || len(d.Panels) == 0 {
			t.Errorf("%q (%q): no uid, title, description, panels, or an old schema", d.Title, d.UID)
		}
		uids[d.UID] = true
		for _, name := range []string{"datasource", "node"} {
			if !slices.ContainsFunc(d.Templating.List, func(v struct{ Name, Type string }) bool { return v.Name == name }) {
				t.Errorf("%s: no variable %s", d.Title, name)
			}
		}
		ids, cells, titles := map[int]bool{}, map[[2]int]string{}, map[string]bool{}
		for _, p := range d.Panels {
			where := d.Title + "/" + p.Title
			if p.ID == 0 || ids[p.ID] || titles[p.Title] {
				t.Errorf("%s: its id or title is missing or not its own", where)
			}
			ids[p.ID], titles[p.Title] = true, true
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := cells[[2]int{x, y}]; other != "" || x >= 24 {
						t.Fatalf("%s lies on %q or outside the page", where, other)
					}
					cells[[2]int{x, y}] = p.Title
				}
			}
			if p.Type != "row" {
				p.check(t, where)
			}
		}
	}
}

func (p panel) check(t *testing.T, where string) {
	t.Helper()
	if !slices.Contains([]string{"timeseries", "stat"}, p.Type) || p.Datasource.Type != "prometheus" || p.Datasource.UID != "${datasource}" {
		t.Errorf("%s: type %q on datasource %v", where, p.Type, p.Datasource)
	}
	if len(p.Title) < 4 || !strings.HasSuffix(p.Description, ".") || p.Description == p.Title {
		t.Errorf("%s: described as %q", where, p.Description)
	}
	if !slices.Contains(units, p.FieldConfig.Defaults.Unit) {
		t.Errorf("%s: unit %q", where, p.FieldConfig.Defaults.Unit)
	}
	steps := p.FieldConfig.Defaults.Thresholds.Steps
	for i, s := range steps {
		if (i == 0) != (s.Value == nil) || i > 1 && *s.Value < *steps[i-1].Value {
			t.Errorf("%s: thresholds do not rise", where)
		}
	}
	if len(p.Targets) == 0 {
		t.Errorf("%s: no query", where)
	}
	legends := map[string]bool{}
	for _, q := range p.Targets {
		if q.LegendFormat == "" || legends[q.LegendFormat] {
			t.Errorf("%s: legend %q says nothing, or the same as another", where, q.LegendFormat)
		}
		legends[q.LegendFormat] = true
		if strings.Contains(q.Expr, "{@") || strings.Contains(q.Expr, "[r]") {
			t.Errorf("%s: %s", where, q.Expr)
		}
	}
}

// metric matches the name of one of ours in a query.
var metric = regexp.MustCompile(`skybridge_\w+`)

// TestEveryMetric wants every metric on a dashboard, and none that does not exist.
func TestEveryMetric(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	exist := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(skybridge_\\w+)`").FindAllSubmatch(doc, -1) {
		exist[string(m[1])] = true
	}
	if len(exist) < 100 {
		t.Fatalf("docs/metrics.md has %d metrics", len(exist))
	}
	shown := map[string]bool{}
	for _, d := range pages(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				for _, name := range metric.FindAllString(q.Expr, -1) {
					name = strings.TrimSuffix(name, "_bucket")
					shown[name] = true
					if !exist[name] {
						t.Errorf("%s/%s: there is no metric %s", d.Title, p.Title, name)
					}
				}
			}
		}
	}
	for name := range exist {
		if !shown[name] {
			t.Errorf("%s is on no dashboard", name)
		}
	}
}

// TestQueriesParse lets Prometheus read every query, as the expression of a rule.
func TestQueriesParse(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		if os.Getenv("SKYBRIDGE_PEERS") == "all" {
			t.Fatal("promtool is not installed; make peers installs it")
		}
		t.Skip("promtool is not installed; make peers installs it")
	}
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for _, d := range pages(t) {
		add := func(expr string) {
			expr = strings.NewReplacer("$__rate_interval", "1m", "$node", ".*").Replace(expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s: a variable is left in %s", d.Title, expr)
			}
			rules = append(rules, rule{"x:" + strings.Repeat("x", len(rules)), expr})
		}
		for _, a := range d.Annotations.List {
			add(a.Expr)
		}
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				add(q.Expr)
			}
		}
	}
	// JSON is YAML.
	b, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "panels", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "panels.yml")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("promtool", "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%d queries", len(rules))
}
