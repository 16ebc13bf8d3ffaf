package crl_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/crl"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// TestConfigRefuses: what is wrong is said with the parameter's name, and
// nothing is changed.
func TestConfigRefuses(t *testing.T) {
	for _, c := range []struct{ body, words string }{
		{`{"expiry": "x"}`, "given expiry could not be decoded"},
		{`{"expiry": -1}`, "given expiry could not be decoded"},
		{`{"expiry": "0"}`, "expiry=0: must be from 10s"},
		{`{"expiry": "9000000h"}`, "given expiry could not be decoded"},
		{`{"expiry": "1000000h"}`, "expiry=1000000h: must be from"},
		{`{"expiry": [1]}`, "expiry"},
		{`{"ocsp_expiry": 0}`, "ocsp_expiry=0: must be from"},
		{`{"auto_rebuild": "perhaps"}`, "auto_rebuild"},
		{`{"auto_rebuild": true, "expiry": "12h"}`, "CRL auto-rebuilding grace period (12h) must be strictly shorter than CRL expiry (12h)"},
		{`{"enable_delta": true}`, "Delta CRLs cannot be enabled when auto rebuilding is disabled"},
		{`{"enable_delta": true, "auto_rebuild": true, "delta_rebuild_interval": "72h"}`, "CRL delta rebuild window (72h) must be strictly shorter"},
		{`{"delta_rebuild_interval": "1ms"}`, "delta_rebuild_interval=1ms: must be from 1s"},
		{`{"max_crl_entries": 0}`, "max_crl_entries=0"},
		{`{"max_crl_entries": -2}`, "max_crl_entries=-2"},
		{`{"max_crl_entries": 1.5}`, "max_crl_entries"},
		{`{"ocsp_unissued": "revoked"}`, `ocsp_unissued="revoked": must be "unknown" or "good"`},
		{`{"ocsp_signer": "hsm"}`, `ocsp_signer="hsm": must be "responder" or "issuer"`},
		{`{"unified_crl": true}`, "unified_crl"},
		{`{"cross_cluster_revocation": "true"}`, "cross_cluster_revocation"},
	} {
		p, err := vaultapi.ParseJSON([]byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := crl.DefaultConfig().With(p); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %q", c.body, err, c.words)
		}
	}
}

// TestConfig: durations read as they were written, what is not given stays, and
// what is stored is read again.
func TestConfig(t *testing.T) {
	p, err := vaultapi.ParseJSON([]byte(`{"expiry": 7200, "auto_rebuild": "true", "auto_rebuild_grace_period": "30m", "max_crl_entries": "-1", "unified_crl": false, "ocsp_unissued": "good"}`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := crl.DefaultConfig().With(p)
	if err != nil || len(p.Unused()) > 0 {
		t.Fatalf("%v, unused %v", err, p.Unused())
	}
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	stored := crl.DefaultConfig()
	if err := json.Unmarshal(raw, &stored); err != nil || stored != c {
		t.Errorf("stored as %s it is %+v, %v", raw, stored, err)
	}
	data, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"expiry": "7200", "auto_rebuild": true, "auto_rebuild_grace_period": "30m", "delta_rebuild_interval": "15m",
		"max_crl_entries": -1, "unified_crl": false, "ocsp_expiry": "12h", "ocsp_unissued": "good", "disable": false, "allow_expired_cert_revocation": false} {
		if data[name] != want {
			t.Errorf("%s: %v, want %v", name, data[name], want)
		}
	}
}
