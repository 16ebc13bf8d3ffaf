package issuance_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

func intermediateRequest(kind, name string) *issuance.CARequest {
	return &issuance.CARequest{
		Names: issuance.Names{Subject: pkix.Name{CommonName: name}}, PublicKey: caKeys()[kind].Public(), MaxPathLength: -1,
		NotBefore: now.Add(-30 * time.Second), NotAfter: now.AddDate(5, 0, 0),
	}
}

// below has the issuer with this certificate, and those above it, certify a CA.
func below(t testing.TB, kind string, req *issuance.CARequest, cert *x509.Certificate, above ...*x509.Certificate) (*x509.Certificate, error) {
	t.Helper()
	issuer, err := issuance.NewIssuer(cert, urls, above...)
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := issuer.PrepareCA(req, now)
	if err != nil {
		return nil, err
	}
	_, made, err := issuer.Issue(prepared, signer(kind))
	if err != nil {
		t.Fatal(err)
	}
	return made, nil
}

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// TestIntermediate builds chains of three over kinds of keys that differ, and
// has x509 and openssl verify a leaf at their end.
func TestIntermediate(t *testing.T) {
	for _, kinds := range [][3]string{{"RSA", "P-256", "Ed25519"}, {"P-384", "RSA", "P-256"}, {"Ed25519", "P-521", "RSA"},
		{"ML-DSA-87", "ML-DSA-65", "ML-DSA-44"}, {"P-384", "ML-DSA-65", "P-256"}, {"ML-DSA-65", "P-256", "ML-DSA-44"}} {
		for _, pss := range []bool{false, true} {
			t.Run(fmt.Sprint(kinds, pss), func(t *testing.T) {
				root := makeRoot(t, kinds[0], func(r *issuance.CARequest) { r.PSS, r.MaxPathLength = pss, 2 })
				req := intermediateRequest(kinds[1], "Intermediate")
				req.PSS, req.NameConstraints, req.KeyUsage = pss, constrained, x509.KeyUsageDigitalSignature
				first, err := below(t, kinds[0], req, root)
				if err != nil {
					t.Fatal(err)
				}
				if first.MaxPathLen != 1 || !first.PermittedDNSDomainsCritical || !bytes.Equal(first.AuthorityKeyId, root.SubjectKeyId) ||
					first.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign|x509.KeyUsageDigitalSignature || first.OCSPServer[0] != urls.OCSPServers[0] {
					t.Errorf("path length %d, AKI %x, key usage %b", first.MaxPathLen, first.AuthorityKeyId, first.KeyUsage)
				}
				req = intermediateRequest(kinds[2], "Issuing")
				req.PSS, req.SubjectKeyID = pss, []byte{1, 2, 3}
				second, err := below(t, kinds[1], req, first, root)
				if err != nil {
					t.Fatal(err)
				}
				if !second.MaxPathLenZero || !bytes.Equal(second.SubjectKeyId, []byte{1, 2, 3}) {
					t.Errorf("path length %d, SKI %x", second.MaxPathLen, second.SubjectKeyId)
				}
				issuer, err := issuance.NewIssuer(second, urls, first, root)
				if err != nil {
					t.Fatal(err)
				}
				leafReq := leafRequest()
				leafReq.PSS, leafReq.URIs, leafReq.IPAddresses = pss, nil, leafReq.IPAddresses[:1]
				leaf := issue(t, issuer, signer(kinds[2]), leafReq)
				if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool(root), Intermediates: pool(first, second), CurrentTime: now}); err != nil {
					t.Error(err)
				}
				if opensslKnows(kinds[:]...) {
					openssl(t, "verify", "-x509_strict", "-attime", fmt.Sprint(now.Unix()), "-CAfile", writePEM(t, "root.pem", "CERTIFICATE", root.Raw),
						"-untrusted", writePEM(t, "a.pem", "CERTIFICATE", first.Raw), "-untrusted", writePEM(t, "b.pem", "CERTIFICATE", second.Raw),
						writePEM(t, "leaf.pem", "CERTIFICATE", leaf.Raw))
				}

				// The constraints of the one above bind the issuer below.
				leafReq.DNSNames = []string{"a.example.org"}
				var refused *issuance.Refusal
				if _, err := issuer.Prepare(leafReq, now); !errors.As(err, &refused) {
					t.Errorf("a name that a CA above excludes: %v", err)
				}
				if _, err := below(t, kinds[2], intermediateRequest(kinds[0], "Too deep"), second, first, root); !errors.As(err, &refused) {
					t.Errorf("a CA below path length 0: %v", err)
				}
			})
		}
	}
}

func TestPathLength(t *testing.T) {
	for _, c := range []struct {
		issuer, asked, want int // want -2: refused
	}{{-1, -1, -1}, {-1, 3, 3}, {3, -1, 2}, {3, 1, 1}, {3, 2, 2}, {3, 3, -2}, {1, -1, 0}, {1, 0, 0}, {0, -1, -2}, {0, 0, -2}} {
		root := makeRoot(t, "Ed25519", func(r *issuance.CARequest) { r.MaxPathLength = c.issuer })
		req := intermediateRequest("P-256", "Intermediate")
		req.MaxPathLength = c.asked
		made, err := below(t, "Ed25519", req, root)
		if (err != nil) != (c.want == -2) || err == nil && made.MaxPathLen != c.want {
			t.Errorf("issuer %d, asked %d: %v", c.issuer, c.asked, err)
		}
	}
}

func TestPrepareCARefuses(t *testing.T) {
	root := makeRoot(t, "P-256", func(r *issuance.CARequest) { r.NameConstraints = constrained })
	extension := func(id ...int) []pkix.Extension { return []pkix.Extension{{Id: id, Value: []byte{0x30, 0}}} }
	for name, change := range map[string]func(*issuance.CARequest){
		"no subject":        func(r *issuance.CARequest) { r.Subject = pkix.Name{} },
		"empty raw subject": func(r *issuance.CARequest) { r.RawSubject = []byte{0x30, 0} },
		"issuer's own key":  func(r *issuance.CARequest) { r.PublicKey = caKeys()["P-256"].Public() },
		"ended":             func(r *issuance.CARequest) { r.NotAfter = r.NotBefore.Add(time.Second) },
		"path length":       func(r *issuance.CARequest) { r.MaxPathLength = -2 },
		"AKI":               func(r *issuance.CARequest) { r.ExtraExtensions = extension(2, 5, 29, 35) },
		"AIA":               func(r *issuance.CARequest) { r.ExtraExtensions = extension(1, 3, 6, 1, 5, 5, 7, 1, 1) },
		"distribution":      func(r *issuance.CARequest) { r.ExtraExtensions = extension(2, 5, 29, 31) },
		"twice":             func(r *issuance.CARequest) { r.ExtraExtensions = append(extension(1, 2, 3), extension(1, 2, 3)...) },
		"broken names": func(r *issuance.CARequest) {
			r.ExtraExtensions = []pkix.Extension{{Id: asn1OID{2, 5, 29, 17}, Value: []byte{4}}}
		},
		"two constraints": func(r *issuance.CARequest) {
			r.ExtraExtensions, r.NameConstraints = extension(2, 5, 29, 30), constrained
		},
		"name not permitted": func(r *issuance.CARequest) { r.DNSNames = []string{"example.org"} },
	} {
		req := intermediateRequest("RSA", "Intermediate")
		change(req)
		var refused *issuance.Refusal
		if _, err := below(t, "P-256", req, root); !errors.As(err, &refused) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
	for _, id := range [][]int{{2, 5, 29, 19}, {2, 5, 29, 15}} {
		req := intermediateRequest("RSA", "Intermediate")
		req.ExtraExtensions = extension(id...)
		if _, err := below(t, "P-256", req, root); err == nil {
			t.Errorf("extension %v was copied", id)
		}
	}
}

// TestWithoutKeyID: the authority key identifier below a CA that has no subject
// key identifier is made of its key.
func TestWithoutKeyID(t *testing.T) {
	root := makeRoot(t, "P-384", nil)
	want := root.SubjectKeyId
	bare := *root
	bare.SubjectKeyId = nil
	made, err := below(t, "P-384", intermediateRequest("P-256", "Intermediate"), &bare)
	if err != nil || !bytes.Equal(made.AuthorityKeyId, want) {
		t.Errorf("authority key identifier %x, want %x (%v)", made.AuthorityKeyId, want, err)
	}
}
