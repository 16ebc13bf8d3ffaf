package issuance_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

func writePEM(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openssl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("openssl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// opensslKnows tells whether the openssl here can judge these kinds of keys:
// ML-DSA is new in 3.5.
func opensslKnows(kinds ...string) bool {
	return opensslKnowsMLDSA() || !strings.Contains(fmt.Sprint(kinds), "ML-DSA")
}

var opensslKnowsMLDSA = sync.OnceValue(func() bool {
	out, err := exec.Command("openssl", "list", "-signature-algorithms").Output()
	return err == nil && strings.Contains(string(out), "ML-DSA-65")
})

// TestOpenSSL has the strictest verifier at hand judge a chain and a CRL of
// each kind of key, with and without a subject and name constraints.
func TestOpenSSL(t *testing.T) {
	at := fmt.Sprint(now.Add(time.Minute).Unix())
	for kind := range caKeys() {
		if !opensslKnows(kind) {
			continue
		}
		for _, pss := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, pss), func(t *testing.T) {
				root := makeRoot(t, kind, func(r *issuance.CARequest) {
					r.NameConstraints.PermittedDNSDomains = []string{"example.com"}
					r.MaxPathLength, r.PSS = 0, pss
				})
				issuer, err := issuance.NewIssuer(root, urls)
				if err != nil {
					t.Fatal(err)
				}
				rootFile := writePEM(t, "root.pem", "CERTIFICATE", root.Raw)
				full, nameless := leafRequest(), leafRequest()
				full.PSS = pss
				full.Policies = []issuance.Policy{{ID: asn1OID{1, 3, 6, 1, 4, 1, 7, 8}, CPS: "https://ca.test/cps", Notice: "für alle"}}
				full.OtherNames = []issuance.OtherName{{Type: asn1OID{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}, Value: "user@example.com"}}
				*nameless = issuance.Request{
					Names: issuance.Names{DNSNames: []string{"a.example.com"}}, PublicKey: nameless.PublicKey, NotBefore: nameless.NotBefore, NotAfter: nameless.NotAfter,
				}
				for _, req := range []*issuance.Request{full, nameless} {
					cert := issue(t, issuer, signer(kind), req)
					leafFile := writePEM(t, "leaf.pem", "CERTIFICATE", cert.Raw)
					openssl(t, "verify", "-x509_strict", "-policy_check", "-attime", at, "-CAfile", rootFile, leafFile)
				}

				text := openssl(t, "x509", "-noout", "-text", "-in", writePEM(t, "leaf.pem", "CERTIFICATE", issue(t, issuer, signer(kind), full).Raw))
				for _, want := range []string{"CPS: https://ca.test/cps", "User Notice", "othername: UPN:", "URI:http://ca.test/v1/pki/crl/delta", "CA:FALSE"} {
					if !strings.Contains(strings.ReplaceAll(text, "UPN::", "UPN:"), want) {
						t.Errorf("openssl does not read %q in\n%s", want, text)
					}
				}
				checkSANCritical(t, issue(t, issuer, signer(kind), nameless))

				crl, err := issuer.IssueRevocationList(&issuance.RevocationList{
					Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour),
				}, nil, streamer{signer(kind)})
				if err != nil {
					t.Fatal(err)
				}
				openssl(t, "verify", "-x509_strict", "-crl_check", "-attime", at, "-CAfile", rootFile,
					"-CRLfile", writePEM(t, "crl.pem", "X509 CRL", crl), writePEM(t, "leaf.pem", "CERTIFICATE", issue(t, issuer, signer(kind), full).Raw))
			})
		}
	}
}

func checkSANCritical(t *testing.T, c *x509.Certificate) {
	t.Helper()
	for _, e := range c.Extensions {
		if e.Id.String() == "2.5.29.17" && e.Critical {
			return
		}
	}
	t.Error("the alternative names of a certificate without subject are not critical")
}
