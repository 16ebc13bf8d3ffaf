package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
)

// TestRevokeRefuses: each mistake is told with its parameter, and nothing is
// revoked by it.
func TestRevokeRefuses(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	issued := p.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "www.example.com"})
	serial, cert := issued.String(t, "serial_number"), issued.String(t, "certificate")
	root := p.PKID.Must(t, "GET", "pki/cert/ca", nil).String(t, "certificate")
	rootSerial := parse(t, root).SerialNumber
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	type body = map[string]any
	for _, c := range []struct {
		body  any
		words string
	}{
		{nil, "The serial number or certificate to revoke must be provided"},
		{[]byte("[1]"), "expected an object"},
		{body{"serial_number": ""}, "must be provided"},
		{body{"serial_number": serial, "certificate": cert}, "not both"},
		{body{"serial_number": []string{serial, serial}}, "serial_number"},
		{body{"serial_number": "00:11"}, "certificate with serial 11 not found."},
		{body{"serial_number": "0"}, "serial_number"},
		{body{"serial_number": "00"}, "not found"},
		{body{"serial_number": "xx:yy"}, "serial_number"},
		{body{"serial_number": "-1"}, "serial_number"},
		{body{"serial_number": strings.Repeat("41:", 20) + "41"}, "serial_number"},
		{body{"serial_number": strings.Repeat("41", 1<<20)}, "serial_number"},
		{body{"serial_number": serial, "reason": "bored"}, `reason: "bored" is none of RFC 5280`},
		{body{"serial_number": serial, "reason": 7}, "reason"},
		{body{"serial_number": serial, "reason": 11}, "reason"},
		{body{"serial_number": serial, "reason": "certificateHold"}, "certificateHold is refused"},
		{body{"serial_number": serial, "reason": 8}, "removeFromCRL is refused"},
		{body{"serial_number": serial, "reason": body{}}, "reason"},
		{body{"serial_number": serial, "invalidity_date": tomorrow}, "invalidity_date"},
		{body{"serial_number": serial, "invalidity_date": "yesterday"}, "invalidity_date"},
		{body{"serial_number": serial, "invalidity_date": "0001-01-01T00:00:00Z"}, "invalidity_date"},
		{body{"serial_number": serial, "invalidity_date": 17}, "invalidity_date"},
		{body{"certificate": "x"}, "certificate could not be PEM-decoded"},
		{body{"certificate": request(t, "a.example.com")}, "certificate is a PEM block of type"},
		{body{"certificate": cert + "\n" + cert}, "certificate contains data after"},
		{body{"certificate": "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"}, "certificate: "},
		{body{"certificate": root}, "to its own CRL is not allowed"},
		{body{"certificate": sameSerial(t, parse(t, cert))}, "another certificate with the serial number"},
		{body{"certificate": sameSerial(t, &x509.Certificate{SerialNumber: big.NewInt(77)})}, "unable to verify signature on presented cert"},
		{body{"serial_number": colons(rootSerial)}, "to its own CRL is not allowed"},
	} {
		p.PKID.Refused(t, "POST", "pki/revoke", c.body, 400, c.words)
	}
	for key, words := range map[string]string{
		"":                       "private_key",
		"short":                  "private_key",
		strings.Repeat("x", 100): "private_key: no PEM block",
		cert:                     "private_key: the PEM block of type",
		pemOf(t, "PRIVATE KEY", []byte(strings.Repeat("k", 100))): "private_key: the PEM block of type",
		keyPEM(t): "provided private key does not match certificate's public key",
	} {
		p.PKID.Refused(t, "POST", "pki/revoke-with-key", body{"serial_number": serial, "private_key": key}, 400, words)
	}
	p.PKID.Refused(t, "LIST", "pki/certs/revoked?limit=-1", nil, 400, "limit")
	p.PKID.Refused(t, "LIST", "pki/certs/revoked?after=zz", nil, 400, "after")
	p.PKID.Refused(t, "GET", "pki/cert/zz", nil, 400, "serial number")
	if a, err := p.PKID.Request("LIST", "pki/certs/revoked", nil); err != nil || a.Status != 404 {
		t.Errorf("something was revoked: %v %s", err, a.Body)
	}
	check.CA(t, p)
}

// TestRevokeExpired: what has expired is not revoked, with a warning, unless
// the mount says so.
func TestRevokeExpired(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	serial := p.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "www.example.com", "ttl": "1s"}).String(t, "serial_number")
	a := p.PKID.Must(t, "POST", "pki/revoke", map[string]any{"serial_number": serial})
	if a.Status != 200 || a.Data != nil || len(a.Warnings) != 1 || a.Warnings[0] != "certificate with serial "+serial+" already expired; refusing to add to CRL" {
		t.Errorf("status %d: %s", a.Status, a.Body)
	}
	p.PKID.Must(t, "POST", "pki/config/crl", map[string]any{"allow_expired_cert_revocation": true})
	if a = p.PKID.Must(t, "POST", "pki/revoke", map[string]any{"serial_number": serial}); a.String(t, "state") != "revoked" {
		t.Errorf("%s", a.Body)
	}
	check.CA(t, p)
}

// TestSignedLists: CRLs that are signed for somebody else's entries.
func TestSignedLists(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	type body = map[string]any
	sign := func(fields body) *x509.RevocationList {
		t.Helper()
		return parseList(t, p.PKID.Must(t, "POST", "pki/issuer/default/sign-revocation-list", fields).String(t, "crl"))
	}
	entry := func(serial, at any) body { return body{"serial_number": serial, "revocation_time": at} }
	reason := base64.StdEncoding.EncodeToString([]byte{10, 1, 4})
	early := sign(body{"crl_number": 5, "revoked_certs": []body{entry("00:05", 1_700_000_000), {"serial_number": "06", "revocation_time": "2025-01-02T03:04:05Z",
		"extensions": []body{{"id": "2.5.29.21", "value": reason}}}}, "extensions": []body{{"id": "1.2.3", "value": "BQA="}}})
	if e := early.RevokedCertificateEntries; early.Number.Int64() != 5 || len(e) != 2 || e[1].ReasonCode != 4 || e[0].RevocationTime.Unix() != 1_700_000_000 {
		t.Errorf("signed %v: %v", early.Number, e)
	}
	late := sign(body{"crl_number": 6, "delta_crl_base_number": 5, "next_update": "1h", "format": "pem", "revoked_certs": []body{entry("05", 1_600_000_000), entry("07", 1)}})
	if life := late.NextUpdate.Sub(late.ThisUpdate); life != time.Hour || len(late.Extensions) != 3 {
		t.Errorf("for %v, extensions %v", life, late.Extensions)
	}
	lists := []string{pemOf(t, "X509 CRL", early.Raw), pemOf(t, "X509 CRL", late.Raw)}
	a := p.PKID.Must(t, "POST", "pki/issuer/default/resign-crls", body{"crls": lists, "crl_number": 7, "format": "der"})
	der, err := base64.StdEncoding.DecodeString(a.String(t, "crl"))
	if err != nil {
		t.Fatal(err)
	}
	merged, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	var serials []int64
	for _, e := range merged.RevokedCertificateEntries {
		serials = append(serials, e.SerialNumber.Int64())
	}
	if !slices.Equal(serials, []int64{5, 6, 7}) || merged.RevokedCertificateEntries[0].RevocationTime.Unix() != 1_600_000_000 || len(a.Warnings) != 1 {
		t.Errorf("merged %v at %v, warnings %v", serials, merged.RevokedCertificateEntries[0].RevocationTime, a.Warnings)
	}
	tomorrow := time.Now().Add(24 * time.Hour).Unix()
	for _, c := range []struct {
		path   string
		fields body
		words  string
	}{
		{"resign-crls", body{"crl_number": 1}, "crls"},
		{"resign-crls", body{"crls": lists}, "crl_number"},
		{"resign-crls", body{"crls": []string{"x"}, "crl_number": 1}, "crls: number 1"},
		{"resign-crls", body{"crls": []string{foreignList(t)}, "crl_number": 1}, "is not signed by the issuer"},
		{"resign-crls", body{"crls": lists, "crl_number": 1, "format": "pem_bundle"}, "format"},
		{"sign-revocation-list", body{"crl_number": -4}, "crl_number"},
		{"sign-revocation-list", body{"crl_number": "many"}, "crl_number"},
		{"sign-revocation-list", body{"crl_number": 3, "delta_crl_base_number": 3}, "delta_crl_base_number"},
		{"sign-revocation-list", body{"crl_number": 3, "delta_crl_base_number": -2}, "delta_crl_base_number"},
		{"sign-revocation-list", body{"crl_number": 3, "next_update": 0}, "next_update"},
		{"sign-revocation-list", body{"crl_number": 3, "revoked_certs": []string{"05"}}, "revoked_certs"},
		{"sign-revocation-list", body{"crl_number": 3, "revoked_certs": []body{entry("zz", 1)}}, "revoked_certs: number 1: serial_number"},
		{"sign-revocation-list", body{"crl_number": 3, "revoked_certs": []body{entry("05", tomorrow)}}, "revoked_certs: number 1: revocation_time"},
		{"sign-revocation-list", body{"crl_number": 3, "revoked_certs": []body{entry("05", 1), entry("00:05", 1)}}, "is there twice"},
		{"sign-revocation-list", body{"crl_number": 3, "revoked_certs": []body{{"serial_number": "05", "revocation_time": 1, "reason": 1}}}, "unknown fields"},
		{"sign-revocation-list", body{"crl_number": 3, "extensions": []body{{"id": "2.5.29.20", "value": "AgEB"}}}, "2.5.29.20"},
		{"sign-revocation-list", body{"crl_number": 3, "extensions": []body{{"id": "nine", "value": "AgEB"}}}, "extensions: number 1: id"},
		{"sign-revocation-list", body{"crl_number": 3, "extensions": []body{{"id": "1.2.3", "value": "%"}}}, "extensions: number 1: value"},
		{"sign-revocation-list", body{"crl_number": 3, "extensions": []body{{"id": "1.2.3"}, {"id": "1.2.3"}}}, "is there twice"},
	} {
		p.PKID.Refused(t, "POST", "pki/issuer/default/"+c.path, c.fields, 400, c.words)
	}
	p.PKID.Refused(t, "POST", "pki/issuer/nobody/sign-revocation-list", body{"crl_number": 1}, 400, "unable to find PKI issuer")
	check.CA(t, p)
}

func parseList(t *testing.T, text string) *x509.RevocationList {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no PEM: %q", text)
	}
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func pemOf(t *testing.T, kind string, der []byte) string {
	t.Helper()
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func keyPEM(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return pemOf(t, "PRIVATE KEY", der)
}

// sameSerial makes a certificate by somebody else with another's serial number.
func sameSerial(t *testing.T, of *x509.Certificate) string {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: of.SerialNumber, Subject: pkix.Name{CommonName: "Root"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf(t, "CERTIFICATE", der)
}

// foreignList is a CRL of another CA of the same name.
func foreignList(t *testing.T) string {
	t.Helper()
	key := newKey(t)
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "Root"}, SubjectKeyId: []byte{1}, KeyUsage: x509.KeyUsageCRLSign}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}, issuer, key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf(t, "X509 CRL", der)
}

func colons(n *big.Int) string {
	var pairs []string
	for _, b := range n.Bytes() {
		pairs = append(pairs, string("0123456789abcdef"[b>>4])+string("0123456789abcdef"[b&15]))
	}
	return strings.Join(pairs, ":")
}

// TestRotateOthers: a CRL that cannot be made keeps no other issuer's from being
// made anew.
func TestRotateOthers(t *testing.T) {
	p := daemon.Start(t)
	p.PKID.Must(t, "POST", "sys/mounts/pki", map[string]any{"type": "pki"})
	p.PKID.Must(t, "POST", "pki/roles/web", map[string]any{"allow_any_name": true, "key_type": "ec"})
	type issuer struct{ id, group string }
	var issuers []issuer
	for _, name := range []string{"one", "two"} {
		define(t, p, name)
		made := p.PKID.Must(t, "POST", "pki/root/generate/kms", map[string]any{"managed_key_name": name, "common_name": name, "ttl": "24h"})
		issuers = append(issuers, issuer{made.String(t, "issuer_id"), string(inventory.GroupOf(parse(t, made.String(t, "certificate"))))})
	}
	// The lists are made in order of group: the first is the one that fails.
	slices.SortFunc(issuers, func(x, y issuer) int { return strings.Compare(x.group, y.group) })
	for range 2 {
		issued := p.PKID.Must(t, "POST", "pki/issuer/"+issuers[0].id+"/issue/web", map[string]any{"common_name": "www.example.com", "ttl": "1h"})
		p.PKID.Must(t, "POST", "pki/revoke", map[string]any{"serial_number": issued.String(t, "serial_number")})
	}
	p.PKID.Must(t, "POST", "pki/config/crl", map[string]any{"max_crl_entries": 1})
	number := func() string {
		block, _ := pem.Decode([]byte(p.PKID.Must(t, "GET", "pki/issuer/"+issuers[1].id+"/crl", nil).String(t, "crl")))
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return list.Number.String()
	}
	before := number()
	p.PKID.Refused(t, "GET", "pki/crl/rotate", nil, 400, "max_crl_entries is 1")
	if after := number(); after == before {
		t.Errorf("the other issuer's CRL is still number %s", after)
	}
}
