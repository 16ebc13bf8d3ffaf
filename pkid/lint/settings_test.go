package lint_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/lint"
)

// spoiled is a certificate with two errors and a warning.
func spoiled(t testing.TB) *issuance.Prepared {
	t.Helper()
	req := plain()
	req.DNSNames = []string{"a_b..example.com"}
	req.Subject.CommonName = strings.Repeat("a", 65)
	prepared, err := issuer(t, "ec 256").Prepare(req, now)
	if err != nil {
		t.Fatal(err)
	}
	return prepared
}

func TestVerdict(t *testing.T) {
	prepared := spoiled(t)
	const label, long = "e_rfc_dnsname_empty_label", "e_subject_common_name_max_length"
	for _, c := range []struct {
		name     string
		s        lint.Settings
		warnings []string // lints that are named
		refused  []string
	}{
		{"default", lint.Settings{}, []string{label, long}, nil},
		{"warn", lint.Settings{Mode: lint.Warn}, []string{label, long}, nil},
		{"one waived", lint.Settings{Waive: []string{label}}, []string{long}, nil},
		{"enforce", lint.Settings{Mode: lint.Enforce}, nil, []string{label, long}},
		{"enforce, one waived", lint.Settings{Mode: lint.Enforce, Waive: []string{long}}, nil, []string{label}},
		{"enforce, both waived", lint.Settings{Mode: lint.Enforce, Waive: []string{long, label}}, nil, nil},
		{"off", lint.Settings{Mode: lint.Off}, nil, nil},
	} {
		warnings, err := c.s.Verdict(c.s.Certificate(prepared.Unsigned(), false))
		if len(warnings) != len(c.warnings) || (err != nil) != (c.refused != nil) {
			t.Errorf("%s: warnings %q, error %v", c.name, warnings, err)
			continue
		}
		for i, name := range c.warnings {
			if !strings.HasPrefix(warnings[i], "lint "+name+" (error): ") {
				t.Errorf("%s: warning %q is not of %s", c.name, warnings[i], name)
			}
		}
		for _, name := range []string{label, long} {
			if err != nil && strings.Contains(err.Error(), name) != contains(c.refused, name) {
				t.Errorf("%s: refused with %q", c.name, err)
			}
		}
	}
}

func contains(names []string, name string) bool {
	return strings.Contains(strings.Join(names, " ")+" ", name+" ")
}

// TestOver: what a role says wins over the mount, each setting by itself.
func TestOver(t *testing.T) {
	mount := lint.Settings{Mode: lint.Enforce, Waive: []string{"a"}, Sources: []string{"CABF_BR"}}
	for _, c := range []struct{ role, want lint.Settings }{
		{lint.Settings{}, mount},
		{lint.Settings{Mode: lint.Off}, lint.Settings{Mode: lint.Off, Waive: []string{"a"}, Sources: []string{"CABF_BR"}}},
		{lint.Settings{Waive: []string{"b"}, Sources: []string{"RFC5280"}}, lint.Settings{Mode: lint.Enforce, Waive: []string{"b"}, Sources: []string{"RFC5280"}}},
	} {
		if got := c.role.Over(mount); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v over the mount's is %v", c.role, got)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, want := range map[string]string{
		"e_rfc_dnsname_empty_label":    "",
		"e_crl_has_valid_reason_code":  "",
		"parse":                        "",
		"e_rfc_dnsname_empty_lable":    `unknown lint "e_rfc_dnsname_empty_lable": is "e_rfc_dnsname_empty_label" meant?`,
		"E_RFC_DNSNAME_EMPTY_LABEL":    `is "e_rfc_dnsname_empty_label" meant?`,
		"":                             `unknown lint "": names are zlint's`,
		"everything":                   `unknown lint "everything": names are zlint's`,
		strings.Repeat("e_rfc_", 1000): `names are zlint's`,
	} {
		err := lint.CheckWaive([]string{"e_ext_san_no_entries", name})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("waiving %.40q: %v", name, err)
		}
	}
	for mode, ok := range map[string]bool{"": true, "warn": true, "enforce": true, "off": true, "Enforce": false, "false": false} {
		if err := lint.CheckMode(mode); (err == nil) != ok {
			t.Errorf("mode %q: %v", mode, err)
		}
	}
	if got, err := lint.CheckSources([]string{"cabf_br", "CABF_BR", "Mozilla"}); err != nil || !reflect.DeepEqual(got, []string{"CABF_BR", "Mozilla"}) {
		t.Errorf("sources are %q, %v", got, err)
	}
	if got, err := lint.CheckSources(everySource); err != nil || !reflect.DeepEqual(got, everySource) {
		t.Errorf("sources are %q, %v", got, err)
	}
	if _, err := lint.CheckSources([]string{"BR"}); err == nil || !strings.Contains(err.Error(), `"BR": there are RFC5280, CABF_BR`) {
		t.Errorf("an unknown source: %v", err)
	}
}
