package api_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// TestMetrics reads what is watched as Prometheus does.
func TestMetrics(t *testing.T) {
	s := start(t)
	s.ca(t)
	s.do(t, "POST", "pki/issue/web", `{"common_name":"a.example.com","ttl":"1h"}`)
	s.ask(t, "GET", "nonsense/../x", "")
	s.ask(t, "GET", "pki/cert/"+strings.Repeat("ab:", 19)+"ab", "")
	a := s.ask(t, "GET", "sys/metrics?format=prometheus", "")
	if a.Status != 200 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %s", a.Status, a.Header.Get("Content-Type"))
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader([]byte(a.Body)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"pkid_build_info", "pkid_http_request_duration_seconds", "pkid_storage_bytes", "pkid_certificates", "pkid_certificates_expiring",
		"pkid_crl_age_seconds", "pkid_issuer_not_after_seconds", "pkid_process_open_fds",
		"hsmd_up", "hsmd_library_up", "hsmd_token_sessions", "hsmd_requests_total", "hsmd_sign_duration_seconds", "hsmd_token_duration_seconds", "hsmd_log_bytes", "hsmd_ledger_bytes", "hsmd_connections",
	} {
		if families[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	if n := families["pkid_certificates_expiring"].Metric[0].Gauge.GetValue(); n != 1 {
		t.Errorf("%v certificates end today, of one", n)
	}
	for _, family := range families {
		for _, m := range family.Metric {
			for _, l := range m.Label {
				if strings.Contains(l.GetValue(), "nonsense") || strings.Contains(l.GetValue(), "ab:ab") || strings.Contains(l.GetValue(), s.token.PIN) {
					t.Errorf("%s has %s=%q", family.GetName(), l.GetName(), l.GetValue())
				}
			}
		}
	}
	if a := s.askAsStranger(t, "GET", "sys/metrics?format=prometheus", ""); a.Status != 403 {
		t.Errorf("a stranger: %d", a.Status)
	}
	if a := s.ask(t, "GET", "sys/metrics", ""); a.Status != 400 || !a.says("prometheus") {
		t.Errorf("without a format: %d", a.Status)
	}
	s.hsmd.Stop()
	if a := s.ask(t, "GET", "sys/metrics?format=prometheus", ""); a.Status != 200 || !strings.Contains(a.Body, "\nhsmd_up 0\n") {
		t.Errorf("without hsmd: %d", a.Status)
	}
}

// TestHealthSigns: health that has keys sign does so once a minute, and says
// whether they do.
func TestHealthSigns(t *testing.T) {
	s := start(t)
	s.ca(t)
	tests := func() string {
		t.Helper()
		a := s.ask(t, "GET", "sys/metrics?format=prometheus", "")
		for line := range strings.Lines(a.Body) {
			if strings.HasPrefix(line, `hsmd_requests_total{code="ok",operation="test"}`) {
				return strings.TrimSpace(line)
			}
		}
		return ""
	}
	for range 5 {
		if a := s.askAsStranger(t, "GET", "sys/health?signing=true", ""); a.Status != 200 || !strings.Contains(a.Body, `"signing":true`) || strings.Contains(a.Body, "signing_keys") {
			t.Fatalf("a stranger: %d %s", a.Status, a.Body)
		}
	}
	if a := s.ask(t, "GET", "sys/health?signing=true", ""); !strings.Contains(a.Body, `"state":"signs"`) {
		t.Errorf("root: %s", a.Body)
	}
	if n := tests(); !strings.HasSuffix(n, " 1") {
		t.Errorf("six asked: %s", n)
	}
	fresh := start(t)
	fresh.ca(t)
	fresh.hsmd.Stop()
	if a := fresh.askAsStranger(t, "GET", "sys/health?signing=true", ""); a.Status != 503 || !strings.Contains(a.Body, `"signing":false`) {
		t.Errorf("without hsmd: %d %s", a.Status, a.Body)
	}
}
