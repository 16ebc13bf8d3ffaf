package issuance_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 500, time.UTC)

// messageSigner signs messages and refuses digests, as a key behind hsmd does.
type messageSigner struct {
	crypto.Signer
	// spoil changes the signature on its way.
	spoil func([]byte)
	asked int
}

func (s *messageSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	panic("asked to sign a digest")
}

func (s *messageSigner) SignMessage(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.asked++
	signature, err := crypto.SignMessage(s.Signer, rand.Reader, message, opts)
	if s.spoil != nil {
		s.spoil(signature)
	}
	return signature, err
}

// caKeys is one key of each kind that a CA may have.
var caKeys = sync.OnceValue(func() map[string]crypto.Signer {
	keys := map[string]crypto.Signer{}
	for name, curve := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			panic(err)
		}
		keys[name] = key
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	keys["RSA"] = rsaKey
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	keys["Ed25519"] = edKey
	for _, set := range []mldsa.Parameters{mldsa.MLDSA44(), mldsa.MLDSA65(), mldsa.MLDSA87()} {
		if keys[set.String()], err = mldsa.GenerateKey(set); err != nil {
			panic(err)
		}
	}
	return keys
})

var leafKey = sync.OnceValue(func() crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

func signer(kind string) *messageSigner { return &messageSigner{Signer: caKeys()[kind]} }

var urls = issuance.URLs{
	IssuingCertificates:        []string{"http://ca.test/v1/pki/ca"},
	CRLDistributionPoints:      []string{"http://ca.test/v1/pki/crl", "http://b.test/crl"},
	DeltaCRLDistributionPoints: []string{"http://ca.test/v1/pki/crl/delta"},
	OCSPServers:                []string{"http://ca.test/v1/pki/ocsp"},
}

func rootRequest(kind string) *issuance.CARequest {
	return &issuance.CARequest{
		Names:         issuance.Names{Subject: pkix.Name{CommonName: "Test Root", Organization: []string{"hsmpki"}}},
		PublicKey:     caKeys()[kind].Public(),
		MaxPathLength: -1,
		NotBefore:     now.Add(-30 * time.Second),
		NotAfter:      now.AddDate(10, 0, 0),
	}
}

func makeRoot(t testing.TB, kind string, change func(*issuance.CARequest)) *x509.Certificate {
	t.Helper()
	req := rootRequest(kind)
	if change != nil {
		change(req)
	}
	prepared, err := issuance.PrepareRoot(req, now)
	if err != nil {
		t.Fatal(err)
	}
	_, cert, err := issuance.IssueRoot(prepared, signer(kind))
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func makeIssuer(t testing.TB, kind string) *issuance.Issuer {
	t.Helper()
	issuer, err := issuance.NewIssuer(makeRoot(t, kind, nil), urls)
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}

// leafRequest asks for a certificate with something of everything.
func leafRequest() *issuance.Request {
	uri, _ := url.Parse("spiffe://example.com/a")
	return &issuance.Request{
		Names: issuance.Names{
			Subject:        pkix.Name{CommonName: "test.example.com", Organization: []string{"Ünit & Co", "plain"}, Country: []string{"NL"}},
			DNSNames:       []string{"a.example.com", "test.example.com"},
			EmailAddresses: []string{"user@example.com"},
			IPAddresses:    []net.IP{net.ParseIP("10.0.0.1"), net.ParseIP("2001:db8::1")},
			URIs:           []*url.URL{uri},
		},
		PublicKey:            leafKey().Public(),
		KeyUsage:             x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement,
		ExtendedKeyUsage:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		ExtendedKeyUsageOIDs: []asn1OID{{1, 3, 6, 1, 4, 1, 99999, 1}},
		Policies:             []issuance.Policy{{ID: asn1OID{2, 23, 140, 1, 2, 1}}},
		BasicConstraints:     true,
		NotBefore:            now.Add(-30 * time.Second),
		NotAfter:             now.Add(72 * time.Hour),
	}
}

func issue(t testing.TB, issuer *issuance.Issuer, s crypto.MessageSigner, req *issuance.Request) *x509.Certificate {
	t.Helper()
	prepared, err := issuer.Prepare(req, now)
	if err != nil {
		t.Fatal(err)
	}
	der, cert, err := issuer.Issue(prepared, s)
	if err != nil {
		t.Fatal(err)
	}
	again, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Equal(cert) || cert.SerialNumber.Cmp(prepared.SerialNumber()) != 0 || !cert.NotAfter.Equal(prepared.NotAfter()) {
		t.Fatal("the certificate is not the prepared one")
	}
	if err := cert.CheckSignatureFrom(issuer.Certificate()); err != nil {
		t.Fatal(err)
	}
	return cert
}
