// Package prometheus_test tests the alerts, and that the manual explains them.
package prometheus_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// A rule is one alert.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	read(t, "alerts.yml", &file)
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("no alerts")
	}
	return all
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// TestPromtool lets Prometheus's own tool check the configuration and play the
// scenarios of alerts_test.yml.
func TestPromtool(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		if os.Getenv("SKYBRIDGE_PEERS") == "all" {
			t.Fatal("promtool is not installed; make peers installs it")
		}
		t.Skip("promtool is not installed; make peers installs it")
	}
	for _, args := range [][]string{
		{"check", "rules", "alerts.yml"}, {"check", "config", "prometheus.yml"}, {"test", "rules", "alerts_test.yml"},
	} {
		if out, err := exec.Command("promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestEveryAlertIsTested wants a scenario in which each alert fires, after a
// moment at which it does not.
func TestEveryAlertIsTested(t *testing.T) {
	var file struct {
		Tests []struct {
			Name string `yaml:"name"`
			Want []struct {
				Samples []struct {
					Labels string `yaml:"labels"`
				} `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		} `yaml:"tests"`
	}
	read(t, "alerts_test.yml", &file)
	tested := map[string]bool{}
	for _, s := range file.Tests {
		quiet := false
		for _, w := range s.Want {
			quiet = quiet || len(w.Samples) == 0
			for _, sample := range w.Samples {
				if m := regexp.MustCompile(`alertname="(\w+)"`).FindStringSubmatch(sample.Labels); m != nil && quiet {
					tested[m[1]] = true
				}
			}
		}
	}
	for _, r := range rules(t) {
		if !tested[r.Alert] {
			t.Errorf("%s: no scenario in alerts_test.yml in which it first does not fire and then does", r.Alert)
		}
	}
}

// TestEveryAlertIsExplained wants what whoever is woken up needs: how bad it is, a
// sentence, and a section of the manual that says what it means, what callers
// notice and what to do, with a command.
func TestEveryAlertIsExplained(t *testing.T) {
	const page = "https://github.com/skybridge-media/skybridge/blob/main/docs/manual/alerts.md#"
	b, err := os.ReadFile("../../../docs/manual/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, s := range strings.Split(string(b), "\n### ")[1:] {
		title, text, _ := strings.Cut(s, "\n")
		text, _, _ = strings.Cut(text, "\n## ")
		sections[title] = text
	}
	known := map[string]bool{}
	for _, r := range rules(t) {
		known[r.Alert] = true
		if r.For == "" || !slices.Contains([]string{"critical", "warning"}, r.Labels["severity"]) || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s: for, severity, summary or description is missing: %+v", r.Alert, r)
		}
		if got, want := r.Annotations["runbook_url"], page+strings.ToLower(r.Alert); got != want {
			t.Errorf("%s: runbook_url %q, want %q", r.Alert, got, want)
		}
		text := sections[r.Alert]
		for _, part := range []string{"**Means**", "**Callers notice**", "**Do**", "\n    "} {
			if !strings.Contains(text, part) {
				t.Errorf("docs/manual/alerts.md, section %s: no %q", r.Alert, part)
			}
		}
	}
	for title := range sections {
		if !known[title] {
			t.Errorf("docs/manual/alerts.md has a section on %s, which is no alert", title)
		}
	}
}

// TestMetricsExist wants every metric of an alert in docs/metrics.md.
func TestMetricsExist(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules(t) {
		for _, name := range regexp.MustCompile(`skybridge_\w+`).FindAllString(r.Expr, -1) {
			if !strings.Contains(string(doc), "| `"+name+"` |") {
				t.Errorf("%s: there is no metric %s", r.Alert, name)
			}
		}
	}
}

// TestCompose wants docker-compose.yml to mount what is there, where the
// provisioning looks for it.
func TestCompose(t *testing.T) {
	const root = "../../.."
	var compose struct {
		Services map[string]struct {
			Volumes []string `yaml:"volumes"`
			Command []string `yaml:"command"`
		} `yaml:"services"`
	}
	read(t, filepath.Join(root, "docker-compose.yml"), &compose)
	mounted := map[string]bool{}
	for name, s := range compose.Services {
		for _, v := range s.Volumes {
			from, to, _ := strings.Cut(v, ":")
			if !strings.HasPrefix(from, "./") {
				continue // a volume of its own
			}
			if _, err := os.Stat(filepath.Join(root, from)); err != nil {
				t.Errorf("%s mounts what is not there: %v", name, err)
			}
			mounted[strings.TrimSuffix(to, ":ro")] = true
		}
	}
	var boards struct {
		Providers []struct {
			Options struct {
				Path string `yaml:"path"`
			} `yaml:"options"`
		} `yaml:"providers"`
	}
	read(t, "../grafana/provisioning/dashboards/skybridge.yaml", &boards)
	if len(boards.Providers) != 1 || !mounted[boards.Providers[0].Options.Path] {
		t.Errorf("the dashboards of %+v are not mounted: %v", boards, mounted)
	}
	var config struct {
		Scrape []struct {
			Job    string `yaml:"job_name"`
			Static []struct {
				Targets []string          `yaml:"targets"`
				Labels  map[string]string `yaml:"labels"`
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	read(t, "prometheus.yml", &config)
	for _, s := range config.Scrape[0].Static {
		command := compose.Services[s.Labels["instance"]].Command
		if i := slices.Index(command, "--ops"); i < 0 || command[i+1] != s.Targets[0] {
			t.Errorf("node %s is scraped at %v and started with %v", s.Labels["instance"], s.Targets, command)
		}
	}
	if len(config.Scrape[0].Static) != 2 || config.Scrape[0].Job != "skybridge" {
		t.Errorf("%+v", config)
	}
}
