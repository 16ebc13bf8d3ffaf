package metrics_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/metrics"
)

// promtool is where make test puts it.
func promtool(t *testing.T) string {
	t.Helper()
	path := os.Getenv("HSMPKI_PROMTOOL")
	if path == "" {
		path = "promtool"
	}
	return path
}

func TestAlertRules(t *testing.T) {
	out, err := exec.Command(promtool(t), "check", "rules", "alerts.yml").CombinedOutput()
	if err != nil {
		t.Fatalf("promtool (HSMPKI_PROMTOOL, or on the path): %v: %s", err, out)
	}
	t.Logf("%s", out)
}

// TestWatchedNames: alerts and dashboard ask for what there is.
func TestWatchedNames(t *testing.T) {
	alerts, err := os.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	dashboard, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(dashboard, &parsed); err != nil {
		t.Fatal(err)
	}
	text := string(alerts)
	for _, p := range parsed.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("panel %q asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			text += "\n" + target.Expr
		}
	}
	known := metrics.Names()
	for _, name := range regexp.MustCompile(`\b(pkid|hsmd)_[a-z_]+`).FindAllString(text, -1) {
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			if cut := strings.TrimSuffix(name, suffix); cut != name && slices.Contains(known, cut) {
				name = cut
			}
		}
		if !slices.Contains(known, name) {
			t.Errorf("%s is asked for, and there is none", name)
		}
	}
}
