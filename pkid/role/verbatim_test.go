package role_test

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/role"
)

func verbatim(t *testing.T, r *role.Role, body string, csr *role.CSR) (*x509.Certificate, []string, error) {
	t.Helper()
	p := params(t, body)
	v := role.ReadVerbatim(p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	req, warnings, err := role.VerbatimRequest(r, v, csr, terms(t))
	if err != nil {
		return nil, nil, err
	}
	prepared, err := observedIssuer(t).Prepare(req, now)
	if err != nil {
		return nil, nil, err
	}
	_, cert, err := observedIssuer(t).Issue(prepared, rootKey.(crypto.MessageSigner))
	if err != nil {
		t.Fatal(err)
	}
	return cert, warnings, nil
}

func TestVerbatim(t *testing.T) {
	exotic := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: []byte{5, 0}}
	csr := parseCSR(t, &x509.CertificateRequest{
		Subject:         pkix.Name{CommonName: "anything at all", ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 3}, Value: "odd"}}},
		DNSNames:        []string{"a.example.com"},
		ExtraExtensions: []pkix.Extension{exotic, {Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 7, 0x80}}},
	})
	cert, warnings, err := verbatim(t, nil, `{"common_name":"x","ext_key_usage":"ClientAuth","ext_key_usage_oids":"1.2.5","key_usage":"KeyAgreement","ttl":"1h"}`, csr)
	if err != nil {
		t.Fatal(err)
	}
	if string(cert.RawSubject) != string(rawSubject(t, csr)) || len(cert.DNSNames) != 1 {
		t.Errorf("subject %s, names %q", cert.Subject, cert.DNSNames)
	}
	if cert.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("the CSR's key usage gave way to %b", cert.KeyUsage)
	}
	if len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth || len(cert.UnknownExtKeyUsage) != 1 {
		t.Errorf("extended key usage %v %v", cert.ExtKeyUsage, cert.UnknownExtKeyUsage)
	}
	if !cert.NotAfter.Equal(now.Add(time.Hour)) || len(warnings) != 1 || !strings.Contains(warnings[0], "ignored") {
		t.Errorf("ends %v, warnings %q", cert.NotAfter, warnings)
	}
	found := false
	for _, e := range cert.Extensions {
		found = found || e.Id.Equal(exotic.Id)
	}
	if !found {
		t.Error("the CSR's own extension is not there")
	}

	plain := parseCSR(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "plain"}})
	short := parseRole(t, strings.Fields("max_ttl=2h not_before_duration=10m key_usage=KeyAgreement key_type=rsa"))
	if cert, _, err = verbatim(t, short, `{"basic_constraints_valid_for_non_ca":true}`, plain); err != nil {
		t.Fatal(err)
	}
	if !cert.NotAfter.Equal(now.Add(2*time.Hour)) || !cert.NotBefore.Equal(now.Add(-10*time.Minute)) || !cert.BasicConstraintsValid ||
		cert.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyAgreement|x509.KeyUsageKeyEncipherment || len(cert.ExtKeyUsage) > 0 {
		t.Errorf("with a role: %v to %v, key usage %b %v", cert.NotBefore, cert.NotAfter, cert.KeyUsage, cert.ExtKeyUsage)
	}
}

func rawSubject(t *testing.T, csr *role.CSR) []byte {
	t.Helper()
	req, _, err := role.VerbatimRequest(nil, &role.Verbatim{Wish: &role.Wish{}}, csr, terms(t))
	if err != nil {
		t.Fatal(err)
	}
	return req.RawSubject
}

func TestVerbatimRefuses(t *testing.T) {
	extension := func(value string, oid ...int) *role.CSR {
		return parseCSR(t, &x509.CertificateRequest{
			Subject:         pkix.Name{CommonName: "a"},
			ExtraExtensions: []pkix.Extension{{Id: oid, Value: []byte(value)}},
		})
	}
	plain := parseCSR(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "a"}})
	for name, c := range map[string]struct {
		csr          *role.CSR
		body, reason string
	}{
		"a CA":               {extension("\x30\x03\x01\x01\xff", 2, 5, 29, 19), `{}`, "isCA=true"},
		"broken constraints": {extension("\x30\x05\x01", 2, 5, 29, 19), `{}`, "malformed basic constraints"},
		"another's key id":   {extension("\x30\x03\x80\x01\x01", 2, 5, 29, 35), `{}`, "issuer's to give"},
		"signs certificates": {extension("\x03\x02\x02\x04", 2, 5, 29, 15), `{}`, "CertSign"},
		"CertSign asked for": {plain, `{"key_usage":"CertSign"}`, "CertSign"},
		"no OID":             {plain, `{"ext_key_usage_oids":"x"}`, "could not be parsed as a valid oid"},
		"a ttl and an end":   {plain, `{"ttl":"1h","not_after":"2030-01-01T00:00:00Z"}`, "Either ttl or not_after"},
	} {
		_, _, err := verbatim(t, nil, c.body, c.csr)
		var refused *role.Refusal
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: got %v, want a refusal with %q", name, err, c.reason)
		}
	}
	if _, _, err := verbatim(t, nil, `{}`, extension("\x30\x00", 2, 5, 29, 19)); err != nil {
		t.Errorf("basic constraints of no CA: %v", err)
	}
}

// TestOpenSSLRequests signs what openssl writes and has it verify the result.
func TestOpenSSLRequests(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root.pem")
	writeCertificate(t, root, observedIssuer(t).Certificate().Raw)
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	for _, key := range [][]string{
		{"rsa:2048"}, {"ec", "-pkeyopt", "ec_paramgen_curve:P-256"}, {"ec", "-pkeyopt", "ec_paramgen_curve:P-521"}, {"ed25519"},
	} {
		path := filepath.Join(dir, "csr.pem")
		run(append([]string{"req", "-new", "-nodes", "-keyout", os.DevNull, "-out", path, "-subj", "/O=Org/CN=a.example.com",
			"-addext", "subjectAltName=DNS:b.example.com,IP:10.0.0.1", "-newkey"}, key...)...)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		csr, err := role.ParseCSR(string(text))
		if err != nil {
			t.Fatal(err)
		}
		r := parseRole(t, strings.Fields("key_type=any allowed_domains=example.com allow_subdomains=true policy_identifiers=1.2.3"))
		req, _, err := r.Request(&role.Wish{}, csr, terms(t))
		if err != nil {
			t.Fatal(err)
		}
		prepared, err := observedIssuer(t).Prepare(req, now)
		if err != nil {
			t.Fatal(err)
		}
		signed, _, err := observedIssuer(t).Issue(prepared, rootKey.(crypto.MessageSigner))
		if err != nil {
			t.Fatal(err)
		}
		copied, _, err := verbatim(t, nil, `{}`, csr)
		if err != nil {
			t.Fatal(err)
		}
		for _, der := range [][]byte{signed, copied.Raw} {
			leaf := filepath.Join(dir, "leaf.pem")
			writeCertificate(t, leaf, der)
			run("verify", "-x509_strict", "-attime", fmt.Sprint(now.Add(time.Minute).Unix()), "-partial_chain", "-trusted", root, leaf)
		}
	}
}

func writeCertificate(t *testing.T, path string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
