package lint_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	zlints "github.com/zmap/zlint/v3/lint"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/lint"
)

// everySource is every set of lints there is beside RFC 5280's.
var everySource = []string{"CABF_BR", "CABF_EV", "CABF_SMIME_BR", "CABF_CS_BR", "RFC3279", "RFC5480", "RFC5891", "RFC6962", "RFC8813",
	"Mozilla", "Apple", "Chrome", "ETSI_ESI", "Community"}

// plain is an ordinary request, of whose parts each case below spoils one.
func plain() *issuance.Request {
	return &issuance.Request{
		Names:    issuance.Names{Subject: pkix.Name{CommonName: "web.example.com"}, DNSNames: []string{"web.example.com"}},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtendedKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: now.Add(-30 * time.Second), NotAfter: now.Add(72 * time.Hour), PublicKey: keys()["rsa 2048"].Public(),
	}
}

func extra(critical bool, value []byte, id ...int) func(*issuance.Request) {
	return func(r *issuance.Request) {
		r.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier(id), Critical: critical, Value: value}}
	}
}

// TestCertificate: what is wrong with a certificate is found, and nothing else.
func TestCertificate(t *testing.T) {
	by := issuer(t, "ec 256")
	for _, c := range []struct {
		name    string
		sources []string
		spoil   func(*issuance.Request)
		want    string // level and name of each finding
	}{
		{"nothing", nil, func(*issuance.Request) {}, ""},
		{"a host name with an empty label", nil, func(r *issuance.Request) { r.DNSNames = []string{".example.com"} },
			"error e_rfc_dnsname_empty_label"},
		{"a host name with a label of 64 octets", nil, func(r *issuance.Request) { r.DNSNames = []string{strings.Repeat("a", 64) + ".example.com"} },
			"error e_rfc_dnsname_label_too_long"},
		{"an underscore", nil, func(r *issuance.Request) { r.DNSNames = []string{"a_b.example.com"} },
			"warn w_rfc_dnsname_underscore_in_trd"},
		{"a common name of 65 characters", nil, func(r *issuance.Request) { r.Subject.CommonName = strings.Repeat("a", 65) },
			"error e_subject_common_name_max_length"},
		{"an e-mail address in angle brackets", nil, func(r *issuance.Request) { r.EmailAddresses = []string{"<a@example.com>"} },
			"error e_ext_san_rfc822_format_invalid"},
		{"a URI without a host", nil, func(r *issuance.Request) { r.URIs = []*url.URL{{Scheme: "https", Path: "/a"}} },
			"error e_ext_san_uri_host_not_fqdn_or_ip"},
		{"usages that do not go together", nil, func(r *issuance.Request) { r.KeyUsage = x509.KeyUsageEncipherOnly },
			"error e_key_usage_and_extended_key_usage_inconsistent"},
		{"a control character in a policy's notice", nil,
			func(r *issuance.Request) {
				r.Policies = []issuance.Policy{{ID: asn1.ObjectIdentifier{1, 2, 3}, Notice: "a\x01b"}}
			},
			"warn w_ext_cert_policy_explicit_text_includes_control"},
		{"an empty alternative name", nil, extra(false, []byte{0x30, 0}, 2, 5, 29, 17),
			"error e_ext_cannot_be_empty_sequence, error e_ext_san_no_entries"},
		{"a key usage that is not DER", nil, extra(true, []byte{3, 2, 0, 0x80}, 2, 5, 29, 15), "error e_incorrect_ku_encoding"},
		{"critical directory attributes", nil, extra(true, []byte{0x30, 0}, 2, 5, 29, 9),
			"error e_ext_cannot_be_empty_sequence, error e_ext_subject_directory_attr_critical"},

		{"an internal name, by RFC 5280", nil, func(r *issuance.Request) { r.DNSNames = []string{"web.corp.internal"} }, ""},
		{"no policy, for browsers", []string{"CABF_BR"}, func(*issuance.Request) {},
			"error e_sub_cert_cert_policy_empty, error e_sub_cert_certificate_policies_missing, " +
				"warn w_ext_subject_key_identifier_not_recommended_subscriber, warn w_subject_common_name_included"},
		{"a host for a mailbox, for S/MIME", []string{"CABF_SMIME_BR"}, func(r *issuance.Request) {
			r.ExtendedKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
			r.Policies = []issuance.Policy{{ID: asn1.ObjectIdentifier{2, 23, 140, 1, 5, 1, 1}}}
		}, "error e_commonname_mailbox_validated, error e_legacy_generation_deprecated"},
		{"key agreement with RSA", []string{"RFC3279"}, func(r *issuance.Request) { r.KeyUsage |= x509.KeyUsageKeyAgreement },
			"error e_rsa_allowed_ku_ee"},
	} {
		req := plain()
		c.spoil(req)
		prepared, err := by.Prepare(req, now)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		s := lint.Settings{Sources: c.sources}
		if got := names(s.Certificate(prepared.Unsigned(), prepared.SelfSigned())); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func names(found []lint.Finding) string {
	var texts []string
	for _, f := range found {
		texts = append(texts, string(f.Level)+" "+f.Lint)
	}
	return strings.Join(texts, ", ")
}

// TestRevocationList: as TestCertificate, for CRLs.
func TestRevocationList(t *testing.T) {
	revoked := func(at time.Time, reason int) []issuance.Revoked {
		return []issuance.Revoked{{SerialNumber: big.NewInt(7), RevokedAt: at, Reason: reason}}
	}
	for _, c := range []struct {
		name    string
		sources []string
		life    time.Duration
		entries []issuance.Revoked
		want    string
	}{
		{"nobody revoked", everySource, 72 * time.Hour, nil, ""},
		{"one revoked", everySource, 72 * time.Hour, revoked(now.Add(-time.Hour), 1), ""},
		{"revoked in the future", nil, 72 * time.Hour, revoked(now.Add(time.Hour), 1), "error e_crl_revocation_time_after_this_update"},
		{"no reason", nil, 72 * time.Hour, revoked(now, 7), "error e_crl_has_valid_reason_code"},
		{"a hold, for browsers", []string{"CABF_BR"}, 72 * time.Hour, revoked(now, 6), "error e_cab_crl_has_valid_reason_code"},
		{"a long life, for browsers", []string{"CABF_BR"}, 1000 * time.Hour, nil, "error e_crl_next_update_invalid"},
		{"a long life", nil, 1000 * time.Hour, nil, ""},
	} {
		for kind := range keys() {
			s := lint.Settings{Sources: c.sources}
			if got := names(look(t, kind, &s, c.life, c.entries)); got != c.want {
				t.Errorf("%s, %s:\n got %s\nwant %s", c.name, kind, got, c.want)
			}
		}
	}
}

// look lints a CRL before it is signed.
func look(t testing.TB, kind string, s *lint.Settings, life time.Duration, entries []issuance.Revoked) (found []lint.Finding) {
	t.Helper()
	_, err := issuer(t, kind).IssueRevocationList(&issuance.RevocationList{
		Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(life),
		Look: func(tbs, dummy []byte) error {
			found = s.RevocationList(tbs, dummy)
			return nil
		},
	}, encoded(t, entries), key{keys()[kind]})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestDummyMakesNoDifference: zlint finds in the signed certificate what was
// found before it was signed, whatever the set of lints.
func TestDummyMakesNoDifference(t *testing.T) {
	s := lint.Settings{Sources: everySource}
	for kind := range keys() {
		prepared := root(t, kind, map[string]any{"common_name": "Root"}, nil)
		before := names(s.Certificate(prepared.Unsigned(), prepared.SelfSigned()))
		der, _, err := issuance.IssueRoot(prepared, key{keys()[kind]})
		if err != nil {
			t.Fatal(err)
		}
		if after := zlintFinds(t, der, prepared.SelfSigned()); before != after {
			t.Errorf("root, %s:\nbefore %s\nafter  %s", kind, before, after)
		}
		if kind == "rsa 2048" {
			continue // the leaf's key
		}
		by := issuer(t, kind)
		prepared, err = by.Prepare(plain(), now)
		if err != nil {
			t.Fatal(err)
		}
		before = names(s.Certificate(prepared.Unsigned(), prepared.SelfSigned()))
		if der, _, err = by.Issue(prepared, key{keys()[kind]}); err != nil {
			t.Fatal(err)
		}
		if after := zlintFinds(t, der, prepared.SelfSigned()); before != after {
			t.Errorf("leaf, %s:\nbefore %s\nafter  %s", kind, before, after)
		}
	}
}

// zlintFinds is names for what zlint by itself says of a signed certificate.
func zlintFinds(t *testing.T, der []byte, selfSigned bool) string {
	t.Helper()
	cert, err := zx509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if cert.PublicKeyAlgorithm == zx509.UnknownPublicKeyAlgorithm { // ML-DSA, whose signatures zlint cannot verify
		cert.SelfSigned = selfSigned
	}
	results := zlint.LintCertificate(cert).Results
	var found []lint.Finding
	for name, r := range results {
		if r.Status >= zlints.Notice {
			found = append(found, lint.Finding{Lint: name, Level: lint.Level(r.Status.String())})
		}
	}
	slices.SortFunc(found, func(a, b lint.Finding) int { return strings.Compare(a.Lint, b.Lint) })
	return names(found)
}
