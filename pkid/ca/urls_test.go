package ca_test

import (
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/ca"
)

func TestFill(t *testing.T) {
	values := map[string]string{"issuer_id": "1234", "cluster_path": "https://a/v1/pki", "cluster_aia_path": ""}
	for _, c := range []struct{ text, want, refused string }{
		{"http://a/crl", "http://a/crl", ""},
		{"{{cluster_path}}/issuer/{{ issuer_id }}/der", "https://a/v1/pki/issuer/1234/der", ""},
		{"{{cluster_aia_path}}/crl", "", "lack a value for {{cluster_aia_path}}"},
		{"http://a/{{other}}", "", "{{other"},
		{"http://a/{{issuer_id", "", "{{issuer_id"},
		{"http://a/}}", "http://a/}}", ""},
	} {
		got, err := ca.Fill(c.text, values)
		if c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) || c.refused == "" && (err != nil || got != c.want) {
			t.Errorf("%s: %q, %v", c.text, got, err)
		}
	}
}

func TestURLs(t *testing.T) {
	list := func(urls ...string) *[]string { return &urls }
	on, off := true, false
	templates := ca.URLs{EnableTemplating: true, OCSPServers: []string{"{{cluster_aia_path}}/ocsp"}}
	for name, c := range map[string]struct {
		before  ca.URLs
		change  ca.URLChange
		refused string
	}{
		"plain":                      {ca.URLs{}, ca.URLChange{OCSPServers: list("http://a/ocsp", "https://b:8200/x")}, ""},
		"LDAP":                       {ca.URLs{}, ca.URLChange{CRLDistributionPoints: list("ldap://a/cn=x")}, ""},
		"templates":                  {ca.URLs{}, ca.URLChange{EnableTemplating: &on, OCSPServers: list("{{cluster_path}}/ocsp")}, ""},
		"templates, not switched on": {ca.URLs{}, ca.URLChange{OCSPServers: list("http://a/{{issuer_id}}")}, "ocsp_servers"},
		"switched off under them":    {templates, ca.URLChange{EnableTemplating: &off}, "ocsp_servers"},
		"switched off with them":     {templates, ca.URLChange{EnableTemplating: &off, OCSPServers: list()}, ""},
		"no host":                    {ca.URLs{}, ca.URLChange{IssuingCertificates: list("http:///ca")}, "issuing_certificates: http:///ca"},
		"no scheme":                  {ca.URLs{}, ca.URLChange{DeltaCRLDistributionPoints: list("a/b")}, "delta_crl_distribution_points: a/b"},
		"not ASCII":                  {ca.URLs{}, ca.URLChange{OCSPServers: list("http://bücher.example/")}, "ocsp_servers"},
		"a blank":                    {ca.URLs{}, ca.URLChange{OCSPServers: list("http://a/ b")}, "ocsp_servers"},
		"too long":                   {ca.URLs{}, ca.URLChange{OCSPServers: list("http://a/" + strings.Repeat("b", 3000))}, "ocsp_servers"},
	} {
		got, err := c.before.With(c.change)
		if c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) || c.refused == "" && err != nil {
			t.Errorf("%s: %v, %v, want a refusal with %q", name, got, err, c.refused)
		}
	}
}
