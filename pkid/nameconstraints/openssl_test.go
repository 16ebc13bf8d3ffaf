package nameconstraints_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/nameconstraints"
)

// TestCases reads testdata/cases.txt, and holds each verdict against what
// crypto/x509 and `openssl verify` say of the same certificate.
func TestCases(t *testing.T) {
	f, err := os.Open("testdata/cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var ca *x509.Certificate
	lines := 0
	s := bufio.NewScanner(f)
	for number := 1; s.Scan(); number++ {
		if s.Text() == "" || s.Text()[0] == '#' {
			continue
		}
		entries := strings.Split(s.Text(), "  ")
		if entries[0] == "ca" {
			ca = makeCA(t, key, entries[1:])
			writeCertificate(t, filepath.Join(dir, "ca.pem"), ca)
			continue
		}
		lines++
		name := strings.Join(entries[1:], "  ")
		leaf := makeLeaf(t, key, ca, name)
		writeCertificate(t, filepath.Join(dir, "leaf.pem"), leaf)
		ours, theirs := check(t, ca, leaf), others(dir, ca, leaf)
		switch verdict := entries[0]; {
		case verdict == "yes" && ours != nil:
			t.Errorf("line %d: refused: %v", number, ours)
		case verdict == "yes" && theirs != nil:
			t.Errorf("line %d: accepted here, but %v", number, theirs)
		case verdict != "yes" && ours == nil:
			t.Errorf("line %d: accepted", number)
		case verdict == "no" && theirs == nil:
			t.Errorf("line %d: refused here alone: %v", number, ours)
		case verdict == "NO" && theirs != nil:
			t.Errorf("line %d: refused by others too: %v", number, theirs)
		}
	}
	if lines < 80 {
		t.Errorf("only %d cases", lines)
	}
}

func check(t *testing.T, ca, leaf *x509.Certificate) error {
	t.Helper()
	c, err := nameconstraints.Of(ca)
	if err != nil {
		t.Fatal(err)
	}
	names, err := nameconstraints.NamesOf(leaf)
	if err != nil {
		t.Fatal(err)
	}
	return c.Check(names)
}

// others is the first refusal of crypto/x509 and OpenSSL, nil if both accept.
// crypto/x509 is not asked where it cannot read the constraints.
func others(dir string, ca, leaf *x509.Certificate) error {
	if len(ca.UnhandledCriticalExtensions) == 0 {
		roots := x509.NewCertPool()
		roots.AddCert(ca)
		leaf.UnhandledCriticalExtensions = nil
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
			return err
		}
	}
	out, err := exec.Command("openssl", "verify", "-x509_strict", "-CAfile", filepath.Join(dir, "ca.pem"), filepath.Join(dir, "leaf.pem")).CombinedOutput()
	if err != nil {
		return errors.New(string(out))
	}
	return nil
}

func makeCA(t *testing.T, key *ecdsa.PrivateKey, constraints []string) *x509.Certificate {
	t.Helper()
	template := certificate("ca")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	template.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 30}, Critical: true, Value: encodeConstraints(t, constraints)}}
	return create(t, template, template, key)
}

// makeLeaf makes a certificate with one name: an alternative name, or with
// "CN:", "emailAddress:", "emailAddressUTF8:" and "subject:" one in the subject.
func makeLeaf(t *testing.T, key *ecdsa.PrivateKey, ca *x509.Certificate, name string) *x509.Certificate {
	t.Helper()
	kind, value, _ := strings.Cut(name, ":")
	template := certificate("")
	template.SerialNumber = big.NewInt(2)
	switch kind {
	case "CN":
		template.Subject.CommonName = value
	case "emailAddress":
		template.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: []int{1, 2, 840, 113549, 1, 9, 1}, Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(value)}}}
	case "emailAddressUTF8":
		template.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: []int{1, 2, 840, 113549, 1, 9, 1}, Value: value}}
	case "subject":
		template.RawSubject = encodeDirectory(t, value)
	default:
		template.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 17}, Critical: true, Value: encodeNames(t, name)}}
	}
	return create(t, template, ca, key)
}

func certificate(common string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: common},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), SubjectKeyId: []byte{1}, AuthorityKeyId: []byte{1},
	}
}

func create(t *testing.T, template, ca *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func writeCertificate(t *testing.T, path string, c *x509.Certificate) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
}
