package issuance_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

// TestSelfIssued has an old root certify a new one, so that who knows the old
// one only accepts what is below the new one.
func TestSelfIssued(t *testing.T) {
	for _, kinds := range [][2]string{{"RSA", "P-256"}, {"P-256", "RSA"}, {"Ed25519", "P-384"}, {"P-521", "Ed25519"}, {"ML-DSA-65", "P-256"}, {"P-256", "ML-DSA-65"}} {
		old := makeRoot(t, kinds[0], func(r *issuance.CARequest) { r.Subject.CommonName = "Old Root" })
		fresh := makeRoot(t, kinds[1], func(r *issuance.CARequest) {
			r.Subject.CommonName, r.NameConstraints.ExcludedDNSDomains = "New Root", []string{"example.org"}
		})
		issuer, err := issuance.NewIssuer(old, urls)
		if err != nil {
			t.Fatal(err)
		}
		prepared, err := issuer.PrepareSelfIssued(fresh, false, now)
		if err != nil {
			t.Fatal(err)
		}
		_, cross, err := issuer.Issue(prepared, signer(kinds[0]))
		if err != nil {
			t.Fatal(err)
		}
		if cross.SerialNumber.Cmp(fresh.SerialNumber) == 0 || !bytes.Equal(cross.RawSubject, fresh.RawSubject) || !cross.NotAfter.Equal(fresh.NotAfter) ||
			!bytes.Equal(cross.SubjectKeyId, fresh.SubjectKeyId) || !bytes.Equal(cross.AuthorityKeyId, old.SubjectKeyId) ||
			cross.CRLDistributionPoints[0] != urls.CRLDistributionPoints[0] || cross.ExcludedDNSDomains[0] != "example.org" {
			t.Errorf("%v: not a copy", kinds)
		}
		newIssuer, err := issuance.NewIssuer(fresh, urls)
		if err != nil {
			t.Fatal(err)
		}
		leaf := issue(t, newIssuer, signer(kinds[1]), leafRequest())
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool(old), Intermediates: pool(cross), CurrentTime: now}); err != nil {
			t.Errorf("%v: %v", kinds, err)
		}
		if opensslKnows(kinds[:]...) {
			openssl(t, "verify", "-x509_strict", "-attime", fmt.Sprint(now.Unix()), "-CAfile", writePEM(t, "old.pem", "CERTIFICATE", old.Raw),
				"-untrusted", writePEM(t, "cross.pem", "CERTIFICATE", cross.Raw), writePEM(t, "leaf.pem", "CERTIFICATE", leaf.Raw))
		}

		var refused *issuance.Refusal
		if _, err := issuer.PrepareSelfIssued(fresh, true, now); !errors.As(err, &refused) {
			t.Errorf("%v: kinds of key that must match and do not: %v", kinds, err)
		}
	}
}

func TestSelfIssuedRefuses(t *testing.T) {
	issuer := makeIssuer(t, "P-256")
	mid, err := below(t, "P-256", intermediateRequest("RSA", "Intermediate"), issuer.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	ended := *makeRoot(t, "RSA", nil)
	ended.NotAfter = now
	for name, cert := range map[string]*x509.Certificate{
		"not self-issued": mid, "ended": &ended, "the issuer's own key": issuer.Certificate(),
		"not a CA": issue(t, issuer, signer("P-256"), leafRequest()),
	} {
		var refused *issuance.Refusal
		if _, err := issuer.PrepareSelfIssued(cert, false, now); !errors.As(err, &refused) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
}

func TestCSR(t *testing.T) {
	for kind := range caKeys() {
		for _, pss := range []bool{false, true} {
			full := leafRequest()
			der, err := issuance.CreateCSR(&issuance.CSRRequest{
				Subject: full.Subject, DNSNames: full.DNSNames, EmailAddresses: full.EmailAddresses, IPAddresses: full.IPAddresses, URIs: full.URIs,
				OtherNames:       []issuance.OtherName{{Type: asn1OID{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}, Value: "user@example.com"}},
				BasicConstraints: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, PSS: pss,
			}, signer(kind))
			if err != nil {
				t.Fatal(err)
			}
			csr, err := x509.ParseCertificateRequest(der)
			if err != nil || csr.CheckSignature() != nil || csr.Subject.CommonName != "test.example.com" || len(csr.DNSNames) != 2 || len(csr.Extensions) != 3 {
				t.Errorf("%s: %+v, %v", kind, csr, err)
			}
			if (csr.SignatureAlgorithm == x509.SHA256WithRSAPSS) != (pss && kind == "RSA") {
				t.Errorf("%s: signed with %s", kind, csr.SignatureAlgorithm)
			}
			if !opensslKnows(kind) {
				continue
			}
			openssl(t, "req", "-verify", "-noout", "-in", writePEM(t, "csr.pem", "CERTIFICATE REQUEST", der))
		}
	}
	if der, err := issuance.CreateCSR(&issuance.CSRRequest{}, signer("P-256")); err != nil || len(der) == 0 {
		t.Errorf("an empty request: %v", err)
	}
	if _, err := issuance.CreateCSR(&issuance.CSRRequest{}, failing{signer("P-256")}); !errors.Is(err, errAway) {
		t.Errorf("got %v, want the signer's error", err)
	}
	spoiled := signer("Ed25519")
	spoiled.spoil = func(signature []byte) { rand.Read(signature) }
	if _, err := issuance.CreateCSR(&issuance.CSRRequest{}, spoiled); err == nil {
		t.Error("a wrong signature was accepted")
	}
}
