package issuance_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

type asn1OID = asn1.ObjectIdentifier

// template says in x509's words what a request says in ours.
func template(req *issuance.Request, c *x509.Certificate) *x509.Certificate {
	var policies []x509.OID
	for _, p := range req.Policies {
		arcs := make([]uint64, len(p.ID))
		for i, n := range p.ID {
			arcs[i] = uint64(n)
		}
		oid, err := x509.OIDFromInts(arcs)
		if err != nil {
			panic(err)
		}
		policies = append(policies, oid)
	}
	return &x509.Certificate{
		SerialNumber: c.SerialNumber, SignatureAlgorithm: c.SignatureAlgorithm, SubjectKeyId: c.SubjectKeyId,
		Subject: req.Subject, RawSubject: req.RawSubject, NotBefore: req.NotBefore, NotAfter: req.NotAfter,
		DNSNames: req.DNSNames, EmailAddresses: req.EmailAddresses, IPAddresses: req.IPAddresses, URIs: req.URIs,
		KeyUsage: req.KeyUsage, ExtKeyUsage: req.ExtendedKeyUsage, UnknownExtKeyUsage: req.ExtendedKeyUsageOIDs,
		Policies: policies, BasicConstraintsValid: req.BasicConstraints, MaxPathLen: -1,
		OCSPServer: urls.OCSPServers, IssuingCertificateURL: urls.IssuingCertificates, CRLDistributionPoints: urls.CRLDistributionPoints,
		ExtraExtensions: append(freshestCRL(), req.ExtraExtensions...),
	}
}

// freshestCRL is the one extension of ours that x509 does not write itself.
func freshestCRL() []pkix.Extension {
	url := urls.DeltaCRLDistributionPoints[0]
	value := append([]byte{0x30, byte(len(url) + 8), 0x30, byte(len(url) + 6), 0xa0, byte(len(url) + 4), 0xa0, byte(len(url) + 2), 0x86, byte(len(url))}, url...)
	return []pkix.Extension{{Id: asn1OID{2, 5, 29, 46}, Value: value}}
}

// sameAsX509 fails unless x509 encodes the same TBSCertificate for the request.
func sameAsX509(t interface {
	Helper()
	Fatalf(string, ...any)
}, issuer *issuance.Issuer, kind string, req *issuance.Request, c *x509.Certificate,
) {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template(req, c), issuer.Certificate(), req.PublicKey, caKeys()[kind])
	if err != nil {
		t.Fatalf("x509 does not take what we took: %v", err)
	}
	theirs, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if !bytes.Equal(theirs.RawTBSCertificate, c.RawTBSCertificate) {
		t.Fatalf("x509 encodes\n%x\nwe encode\n%x", theirs.RawTBSCertificate, c.RawTBSCertificate)
	}
	deterministic := c.SignatureAlgorithm == x509.PureEd25519 || c.SignatureAlgorithm == x509.SHA256WithRSA
	if deterministic && !bytes.Equal(der, c.Raw) {
		t.Fatalf("the certificate around the TBSCertificate differs from x509's")
	}
}

// TestSameBytesAsX509 holds our encoder to x509's, for each kind of key and
// each signature algorithm.
func TestSameBytesAsX509(t *testing.T) {
	for kind := range caKeys() {
		for _, bits := range []int{0, 256, 384, 512} {
			for _, pss := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d/%v", kind, bits, pss), func(t *testing.T) {
					issuer := makeIssuer(t, kind)
					req := leafRequest()
					req.SignatureBits, req.PSS = bits, pss
					sameAsX509(t, issuer, kind, req, issue(t, issuer, signer(kind), req))
				})
			}
		}
	}
}

// TestSameBytesAsX509Random does the same for requests of all shapes.
func TestSameBytesAsX509Random(t *testing.T) {
	issuer := makeIssuer(t, "Ed25519")
	rapid.Check(t, func(r *rapid.T) {
		req := drawRequest(r)
		prepared, err := issuer.Prepare(req, now)
		if err != nil {
			r.Fatalf("%v", err)
		}
		_, c, err := issuer.Issue(prepared, signer("Ed25519"))
		if err != nil {
			r.Fatalf("%v", err)
		}
		sameAsX509(r, issuer, "Ed25519", req, c)
	})
}

func drawRequest(r *rapid.T) *issuance.Request {
	some := func(label, pattern string, most int) []string {
		return rapid.SliceOfN(rapid.StringMatching(pattern), 0, most).Draw(r, label)
	}
	req := &issuance.Request{
		Names: issuance.Names{
			Subject: pkix.Name{
				CommonName:   rapid.StringMatching(`[A-Za-z0-9*@ é.-]{0,70}`).Draw(r, "cn"),
				SerialNumber: rapid.StringMatching(`[0-9]{0,5}`).Draw(r, "serial"),
				Organization: some("organization", `.{1,40}`, 3),
				Country:      some("country", `[A-Z]{2}`, 2),
				ExtraNames:   []pkix.AttributeTypeAndValue{{Type: asn1OID{0, 9, 2342, 19200300, 100, 1, 1}, Value: "alice"}},
			},
			DNSNames:       append(some("dns", `[a-z0-9.-]{1,80}`, 20), "always.example.com"),
			EmailAddresses: some("email", `[a-z]{1,9}@[a-z.]{1,70}`, 3),
		},
		PublicKey:        leafKey().Public(),
		KeyUsage:         x509.KeyUsage(rapid.IntRange(0, 0x1ff).Draw(r, "ku")) &^ (x509.KeyUsageCertSign | x509.KeyUsageCRLSign),
		BasicConstraints: rapid.Bool().Draw(r, "bc"),
		NotBefore:        now.Add(-time.Duration(rapid.Int64Range(0, 1e18).Draw(r, "before"))),
		NotAfter:         now.Add(time.Duration(rapid.Int64Range(1e9, 9e18).Draw(r, "after"))),
	}
	for _, octets := range rapid.SliceOfN(rapid.SampledFrom([]string{"10.0.0.1", "::1", "::ffff:1.2.3.4", "2001:db8::7"}), 0, 4).Draw(r, "ip") {
		req.IPAddresses = append(req.IPAddresses, net.ParseIP(octets))
	}
	for _, text := range some("uri", `https://[a-z]{1,20}/[a-z]{0,200}`, 3) {
		uri, err := url.Parse(text)
		if err != nil {
			r.Fatalf("%v", err)
		}
		req.URIs = append(req.URIs, uri)
	}
	for u := range rapid.SliceOfNDistinct(rapid.IntRange(0, 13), 0, 5, rapid.ID[int]).Draw(r, "eku") {
		req.ExtendedKeyUsage = append(req.ExtendedKeyUsage, x509.ExtKeyUsage(u))
	}
	for _, arc := range rapid.SliceOfNDistinct(rapid.IntRange(0, 1<<31-1), 0, 3, rapid.ID[int]).Draw(r, "oids") {
		req.ExtendedKeyUsageOIDs = append(req.ExtendedKeyUsageOIDs, asn1OID{1, 3, arc})
		req.Policies = append(req.Policies, issuance.Policy{ID: asn1OID{2, 5, arc}})
	}
	return req
}
