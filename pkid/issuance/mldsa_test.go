package issuance_test

import (
	"bytes"
	"crypto/mldsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

// example is a file of the examples of RFC 9881, appendix C, as DER.
func example(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../wire/testdata/rfc9881/" + file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	return block.Bytes
}

// signed is what certificates, requests and CRLs have in common (RFC 5280,
// sections 4.1 and 5.1; RFC 2986, section 4.2).
type signed struct {
	Content   asn1.RawValue
	Algorithm asn1.RawValue
	Signature asn1.BitString
}

// TestExamplesOfRFC9881: a root, a request and a CRL under the RFC's keys have
// its SubjectPublicKeyInfo and AlgorithmIdentifier, octet for octet, and a
// signature of FIPS 204's size.
func TestExamplesOfRFC9881(t *testing.T) {
	for name, size := range map[string]int{"ml-dsa-44": 2420, "ml-dsa-65": 3309, "ml-dsa-87": 4627} {
		t.Run(name, func(t *testing.T) {
			parsed, err := x509.ParsePKCS8PrivateKey(example(t, name+".key"))
			if err != nil {
				t.Fatal(err)
			}
			key := &messageSigner{Signer: parsed.(*mldsa.PrivateKey)}
			theirs, err := x509.ParseCertificate(example(t, name+".crt"))
			if err != nil {
				t.Fatal(err)
			}
			var want signed
			if _, err := asn1.Unmarshal(theirs.Raw, &want); err != nil {
				t.Fatal(err)
			}
			same := func(what string, der []byte) {
				t.Helper()
				var got signed
				if _, err := asn1.Unmarshal(der, &got); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if !bytes.Equal(got.Algorithm.FullBytes, want.Algorithm.FullBytes) {
					t.Errorf("%s: algorithm %x, the RFC's is %x", what, got.Algorithm.FullBytes, want.Algorithm.FullBytes)
				}
				if len(got.Signature.Bytes) != size || got.Signature.BitLength != 8*size {
					t.Errorf("%s: a signature of %d bits", what, got.Signature.BitLength)
				}
			}

			req := rootRequest("P-256")
			req.PublicKey = key.Public()
			prepared, err := issuance.PrepareRoot(req, now)
			if err != nil {
				t.Fatal(err)
			}
			der, root, err := issuance.IssueRoot(prepared, key)
			if err != nil {
				t.Fatal(err)
			}
			same("root", der)
			if spki := example(t, name+".pub"); !bytes.Equal(root.RawSubjectPublicKeyInfo, spki) {
				t.Errorf("SubjectPublicKeyInfo %x…, the RFC's is %x…", root.RawSubjectPublicKeyInfo[:24], spki[:24])
			}
			if len(prepared.Unsigned()) != len(der) {
				t.Errorf("%d octets were looked at, %d signed", len(prepared.Unsigned()), len(der))
			}
			if err := root.CheckSignatureFrom(root); err != nil {
				t.Error(err)
			}

			request, err := issuance.CreateCSR(&issuance.CSRRequest{Subject: req.Subject}, key)
			if err != nil {
				t.Fatal(err)
			}
			same("request", request)

			issuer, err := issuance.NewIssuer(root, urls)
			if err != nil {
				t.Fatal(err)
			}
			list, err := issuer.IssueRevocationList(&issuance.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}, nil, streamer{key})
			if err != nil {
				t.Fatal(err)
			}
			same("CRL", list)
			crl, err := x509.ParseRevocationList(list)
			if err != nil {
				t.Fatal(err)
			}
			if err := crl.CheckSignatureFrom(root); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestKeyUsageOfMLDSA: an ML-DSA key is certified for signing only (RFC 9881,
// section 5), whoever asks for what.
func TestKeyUsageOfMLDSA(t *testing.T) {
	issuer := makeIssuer(t, "P-256")
	for usage, fine := range map[x509.KeyUsage]bool{
		0:                             true, // the extension is left out
		x509.KeyUsageDigitalSignature: true,
		x509.KeyUsageContentCommitment | x509.KeyUsageDigitalSignature: true,
		x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement:      false,
		x509.KeyUsageKeyEncipherment:                                   false,
		x509.KeyUsageDigitalSignature | x509.KeyUsageEncipherOnly:      false,
	} {
		req := leafRequest()
		req.PublicKey, req.KeyUsage = caKeys()["ML-DSA-44"].Public(), usage
		_, err := issuer.Prepare(req, now)
		var refused *issuance.Refusal
		if fine && err != nil || !fine && !errors.As(err, &refused) {
			t.Errorf("%b: %v", usage, err)
		}
	}
	req := leafRequest() // as a CSR asks for it under sign-verbatim
	req.PublicKey, req.ExtraExtensions = caKeys()["ML-DSA-44"].Public(), []pkix.Extension{{Id: asn1OID{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 3, 0x88}}}
	var refused *issuance.Refusal
	if _, err := issuer.Prepare(req, now); !errors.As(err, &refused) {
		t.Errorf("copied: %v", err)
	}
}
