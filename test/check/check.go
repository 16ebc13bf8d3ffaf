// Package check holds the invariant of the whole CA, to be called after each
// step of a test: every stored certificate verifies up to a root, no serial is
// there twice, each issuer's CRL has all that is revoked and OCSP says so of
// each, and no key material or PIN is anywhere but in the token.
//
// It looks from outside: at the API, at the daemons' folders and at their logs.
// Start at [CA].
package check

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// CA checks all of the pair's mounts, its state and its logs. Secrets are
// further octets that must not be found, such as a leaf's private key.
func CA(t testing.TB, p *daemon.Pair, secrets ...string) {
	t.Helper()
	serials := make(map[string]string)
	for _, mount := range mounts(t, p.PKID) {
		Mount(t, p.PKID, mount, serials)
	}
	NoSecrets(t, p, secrets...)
}

func mounts(t testing.TB, p *daemon.PKID) []string {
	t.Helper()
	var list []string
	for path, v := range p.Must(t, "GET", "sys/mounts", nil).Data {
		if m, ok := v.(map[string]any); ok && m["type"] == "pki" {
			list = append(list, path)
		}
	}
	slices.Sort(list)
	return list
}

// Mount checks one mount, "pki/"; serials has where each serial was met.
func Mount(t testing.TB, p *daemon.PKID, mount string, serials map[string]string) {
	t.Helper()
	roots, others := x509.NewCertPool(), x509.NewCertPool()
	for _, id := range keys(t, p, mount+"issuers") {
		cert := certificate(t, p, mount+"issuer/"+id+"/json")
		if cert.CheckSignatureFrom(cert) != nil {
			others.AddCert(cert)
			continue
		}
		roots.AddCert(cert)
		if !bytes.Equal(cert.AuthorityKeyId, cert.SubjectKeyId) || len(cert.SubjectKeyId) == 0 {
			t.Errorf("%s: root %s has AKI %x and SKI %x", mount, cert.Subject, cert.AuthorityKeyId, cert.SubjectKeyId)
		}
	}
	for _, serial := range keys(t, p, mount+"certs") {
		cert := certificate(t, p, mount+"cert/"+serial)
		where := mount + " serial " + serial
		if got := colonHex(cert.SerialNumber.Bytes()); got != serial {
			t.Errorf("%s: the certificate's own serial is %s", where, got)
		}
		if first, ok := serials[serial]; ok {
			t.Errorf("%s is also in %s", where, first)
		}
		serials[serial] = mount
		_, err := cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: others,
			CurrentTime: cert.NotBefore.Add(time.Second), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if err != nil {
			t.Errorf("%s (%s): %v", where, cert.Subject, err)
		}
	}
	revocations(t, p, mount)
}

// Certificates counts the certificates of a mount.
func Certificates(t testing.TB, p *daemon.PKID, mount string) int {
	t.Helper()
	return len(keys(t, p, mount+"certs"))
}

// keys lists a path; an empty list is a 404 there.
func keys(t testing.TB, p *daemon.PKID, path string) []string {
	t.Helper()
	a, err := p.Request("LIST", path, nil)
	if err != nil {
		t.Fatalf("LIST %s: %v", path, err)
	}
	if a.Status == 404 && len(a.Errors) == 0 {
		return nil
	}
	if a.Status != 200 {
		t.Fatalf("LIST %s: status %d: %s", path, a.Status, a.Body)
	}
	list, _ := a.Data["keys"].([]any)
	names := make([]string, len(list))
	for i, k := range list {
		names[i] = fmt.Sprint(k)
	}
	return names
}

func certificate(t testing.TB, p *daemon.PKID, path string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(p.Must(t, "GET", path, nil).String(t, "certificate")))
	if block == nil {
		t.Fatalf("GET %s: the certificate is no PEM", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return cert
}

func colonHex(b []byte) string {
	parts := make([]string, len(b))
	for i, c := range b {
		parts[i] = fmt.Sprintf("%02x", c)
	}
	return strings.Join(parts, ":")
}
