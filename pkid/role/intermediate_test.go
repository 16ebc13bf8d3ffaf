package role_test

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// signIntermediate has the test's CA sign a CSR as sign-intermediate does.
func signIntermediate(t *testing.T, body string, csr *role.CSR, beyond role.NotAfterBehavior) (*x509.Certificate, []string, error) {
	t.Helper()
	p := params(t, body)
	wish, err := role.ReadIntermediate(p)
	if err != nil {
		return nil, nil, err
	}
	if unused := p.Unused(); len(unused) > 0 {
		t.Errorf("not read: %v", unused)
	}
	bound := *terms(t)
	bound.Beyond = wish.Beyond(beyond)
	req, warnings, err := wish.Request(csr, &bound)
	if err != nil {
		return nil, nil, err
	}
	prepared, err := observedIssuer(t).PrepareCA(req, now)
	if err != nil {
		return nil, nil, err
	}
	_, cert, err := observedIssuer(t).Issue(prepared, rootKey.(crypto.MessageSigner))
	if err != nil {
		t.Fatal(err)
	}
	return cert, warnings, nil
}

// caCSR asks for something of everything.
func caCSR(t *testing.T, more ...pkix.Extension) *role.CSR {
	return parseCSR(t, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "CSR CA", Organization: []string{"CSR Org"}}, DNSNames: []string{"csr.example.com"},
		ExtraExtensions: append(more,
			pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 6, 0xc0}},                // digitalSignature, nonRepudiation
			pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 6, 1, 1, 0xff, 2, 1, 9}}, // a path length of 9
			pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: []byte{0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1}},    // serverAuth
			pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 14}, Value: []byte{4, 2, 7, 7}}),                                  // a key identifier
	})
}

func told(c *x509.Certificate) string {
	return fmt.Sprintf("%s %v %d %d %d %x %v", c.Subject, c.DNSNames, c.MaxPathLen, int(c.KeyUsage), len(c.ExtKeyUsage), c.SubjectKeyId[:2], c.PermittedDNSDomains)
}

func TestIntermediate(t *testing.T) {
	const ca = int(x509.KeyUsageCertSign | x509.KeyUsageCRLSign)
	key, err := issuance.KeyID(csrKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ body, want string }{
		{`{}`, fmt.Sprintf("CN=CSR CA [] -1 %d 0 %x []", ca, key[:2])},
		{`{"common_name":"ca.example.com","ou":"Unit","max_path_length":"2","permitted_dns_domains":["example.com"],"skid":"AB:cd:01","key_usage":"DigitalSignature"}`,
			fmt.Sprintf("CN=ca.example.com,OU=Unit [ca.example.com] 2 %d 0 abcd [example.com]", ca|1)},
		{`{"use_csr_values":true,"max_path_length":0}`, fmt.Sprintf("CN=CSR CA,O=CSR Org [csr.example.com] 0 %d 1 0707 []", ca|3)},
		{`{"use_csr_values":"true","skid":"0102","excluded_dns_domains":"x.org"}`, fmt.Sprintf("CN=CSR CA,O=CSR Org [csr.example.com] -1 %d 1 0102 []", ca|3)},
	} {
		cert, _, err := signIntermediate(t, c.body, caCSR(t), role.BeyondErr)
		if err != nil {
			t.Errorf("%s: %v", c.body, err)
			continue
		}
		if got := told(cert); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.body, got, c.want)
		}
	}
}

// TestIntermediateBeyond: a certificate that would outlive its issuer.
func TestIntermediateBeyond(t *testing.T) {
	end := terms(t).Issuer.NotAfter
	later := end.Add(time.Hour).UTC().Format(time.RFC3339)
	for _, c := range []struct {
		issuer  role.NotAfterBehavior
		enforce bool
		want    string
	}{
		{role.BeyondErr, false, "cut"}, {role.BeyondErr, true, "refused"}, {role.BeyondPermit, false, "cut"}, {role.BeyondPermit, true, "beyond"},
		{role.BeyondTruncate, false, "cut"}, {role.BeyondTruncate, true, "cut"}, {role.BeyondAlwaysErr, false, "refused"}, {role.BeyondAlwaysErr, true, "refused"},
	} {
		cert, warnings, err := signIntermediate(t, fmt.Sprintf(`{"not_after":%q,"enforce_leaf_not_after_behavior":%v}`, later, c.enforce), caCSR(t), c.issuer)
		got := "beyond"
		switch {
		case err != nil:
			got = "refused"
		case cert.NotAfter.Equal(end):
			got = "cut"
		}
		if got != c.want || (got == "cut") != strings.Contains(strings.Join(warnings, "|"), "truncated") {
			t.Errorf("%s, enforced %v: %s, %v, %q", c.issuer, c.enforce, got, err, warnings)
		}
	}
}

func TestIntermediateRefuses(t *testing.T) {
	for body, reason := range map[string]string{
		`{"skid":"xyz"}`: "skid", `{"skid":"` + strings.Repeat("00", 65) + `"}`: "skid",
		`{"use_csr_values":"perhaps"}`: "use_csr_values", `{"enforce_leaf_not_after_behavior":3}`: "enforce_leaf_not_after_behavior",
		`{"permitted_ip_ranges":"1"}`: "permitted_ip_ranges", `{"common_name":"a","alt_names":"` + strings.Repeat("a.b,", 1001) + `"}`: "names",
	} {
		_, _, err := signIntermediate(t, body, caCSR(t), role.BeyondErr)
		var refused *role.Refusal
		var converted *vaultapi.Error
		if !errors.As(err, &refused) && !errors.As(err, &converted) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%.60s: got %v, want a refusal with %q", body, err, reason)
		}
	}
	for name, e := range map[string]pkix.Extension{
		"AKI": {Id: asn1.ObjectIdentifier{2, 5, 29, 35}, Value: []byte{0x30, 0}}, "CRL": {Id: asn1.ObjectIdentifier{2, 5, 29, 31}, Value: []byte{0x30, 0}},
	} {
		if _, _, err := signIntermediate(t, `{"use_csr_values":true}`, caCSR(t, e), role.BeyondErr); err == nil {
			t.Errorf("%s of the CSR was copied", name)
		}
		if _, _, err := signIntermediate(t, `{}`, caCSR(t, e), role.BeyondErr); err != nil {
			t.Errorf("%s of the CSR was looked at: %v", name, err)
		}
	}
}

func TestCSRWish(t *testing.T) {
	p := params(t, `{"common_name":"ca.example.com","organization":"Org","add_basic_constraints":"true","key_usage":"CertSign,CRLSign,None","use_pss":true,
		"ip_sans":"10.0.0.1","ttl":"1h","not_after":"never mind","signature_bits":384,"exclude_cn_from_sans":true}`)
	wish, err := role.ReadCSR(p)
	if err != nil || len(p.Unused()) > 0 {
		t.Fatal(err, p.Unused())
	}
	req, warnings, err := wish.Request()
	if err != nil {
		t.Fatal(err)
	}
	if req.Subject.String() != "CN=ca.example.com,O=Org" || !req.BasicConstraints || req.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign ||
		len(req.DNSNames) != 0 || len(req.IPAddresses) != 1 || !req.PSS || req.SignatureBits != 384 || len(warnings) != 1 {
		t.Errorf("%+v, %q", req, warnings)
	}
	if wish, err = role.ReadCSR(params(t, `{}`)); err != nil {
		t.Fatal(err)
	}
	if _, warnings, err = wish.Request(); err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "no subject") {
		t.Errorf("%q, %v", warnings, err)
	}
	if wish, err = role.ReadCSR(params(t, `{"ip_sans":"x"}`)); err != nil {
		t.Fatal(err)
	}
	if _, _, err = wish.Request(); err == nil {
		t.Error("an address that is none was taken")
	}
}
