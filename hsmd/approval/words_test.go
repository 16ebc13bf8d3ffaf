package approval_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/approval"
)

// selfSigned is a CA's certificate with all that an approver is told in words.
func selfSigned(t *testing.T) (*x509.Certificate, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x0102), Subject: pkix.Name{CommonName: "Root"}, NotBefore: day, NotAfter: day.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		CRLDistributionPoints: []string{"http://pki.example.com/root.crl"}, IssuingCertificateURL: []string{"http://pki.example.com/root.crt"},
		OCSPServer:          []string{"http://pki.example.com/ocsp"},
		PermittedDNSDomains: []string{"example.com"}, ExcludedDNSDomains: []string{"secret.example.com"},
		PermittedIPRanges: []*net.IPNet{{IP: net.IPv4(10, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, private
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	said := strings.Join(got, "\n")
	for _, line := range want {
		if !strings.Contains("\n"+said+"\n", "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, said)
		}
	}
}

// TestWordsOfACertificate: whom it is for, how long and how deep, and what an
// extension in hexadecimal would hide.
func TestWordsOfACertificate(t *testing.T) {
	cert, _ := selfSigned(t)
	wantLines(t, approval.Words("certificate", cert.RawTBSCertificate),
		"the certificate of a CA for CN=Root",
		"which may certify with at most 0 CAs between it and a leaf",
		"serial number 01:02",
		"CRL at http://pki.example.com/root.crl",
		"issuer's certificate at http://pki.example.com/root.crt",
		"OCSP at http://pki.example.com/ocsp",
		"names permitted below it: DNS example.com, IP 10.0.0.0/8",
		"names excluded below it: DNS secret.example.com")
}

// TestWordsOfARevocationList: who approves a CRL is told what it revokes, and
// whether it is a delta.
func TestWordsOfARevocationList(t *testing.T) {
	cert, private := selfSigned(t)
	base, err := asn1.Marshal(big.NewInt(6))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(7), ThisUpdate: day, NextUpdate: day.Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{
			{SerialNumber: big.NewInt(0x0a0b), RevocationTime: day, ReasonCode: 1},
			{SerialNumber: big.NewInt(0x0c), RevocationTime: day},
		},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: base}},
	}, cert, private)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, approval.Words("crl", list.RawTBSRevocationList),
		"CRL number 7 of CN=Root",
		"with 2 entries",
		"extension 2.5.29.27, critical true: 020106",
		"revokes 0a:0b, of 2026-11-25T03:00:00Z, reason 1",
		"revokes 0c, of 2026-11-25T03:00:00Z, reason 0")
}
