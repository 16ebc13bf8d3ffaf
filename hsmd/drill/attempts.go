package drill

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// Plain is the attempt that is no attack: a certificate as rules let it pass. If
// it is refused, so may others be, for its reason and not for their own.
const Plain = "plain"

// certificates are attempts that differ from the plain one in one respect.
var certificates = []struct {
	name   string
	change func(*x509.Certificate)
}{
	{Plain, nil},
	{"ca", func(c *x509.Certificate) { c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil }},
	{"key-cert-sign", func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign }},
	{"crl-sign", func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCRLSign }},
	{"ten-years", func(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(10, 0, 0) }},
	{"backdated", func(c *x509.Certificate) { c.NotBefore = time.Now().AddDate(-1, 0, 0) }},
	{"future", func(c *x509.Certificate) {
		c.NotBefore = time.Now().Add(time.Hour)
		c.NotAfter = c.NotBefore.Add(time.Minute)
	}},
	{"other-name", func(c *x509.Certificate) { c.DNSNames = []string{"hsmd-drill.invalid"} }},
	{"other-name-beside", func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "hsmd-drill.invalid") }},
	{"wide-wildcard", func(c *x509.Certificate) { c.DNSNames = []string{"*.invalid"} }},
	{"other-common-name", func(c *x509.Certificate) { c.Subject.CommonName = "hsmd-drill.invalid" }},
	{"ip-address", func(c *x509.Certificate) { c.IPAddresses = []net.IP{{192, 0, 2, 1}} }},
	{"email-address", func(c *x509.Certificate) { c.EmailAddresses = []string{"drill@hsmd-drill.invalid"} }},
	{"uri", func(c *x509.Certificate) {
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "hsmd-drill.invalid", Path: "/drill"}}
	}},
	{"no-usage", func(c *x509.Certificate) { c.ExtKeyUsage = nil }},
	{"any-usage", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }},
	{"client-auth", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }},
	{"code-signing", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }},
	{"ocsp-signing", func(c *x509.Certificate) {
		c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning)
	}},
	{"unknown-critical", func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}}}
	}},
}

// attempt makes a message and asks for its signature.
func (k *key) attempt(ctx context.Context, name string, message []byte, change func(*wire.SignRequest), report func(Result)) Verdict {
	r := Result{Key: k.name, Attempt: name, Message: message}
	r.Verdict, r.Words = verdict(k.sign(ctx, func(req *wire.SignRequest) {
		req.Message = message
		if change != nil {
			change(req)
		}
	}))
	report(r)
	return r.Verdict
}

// attack tries one key. An error is a fault of the drill's own.
func (k *key) attack(ctx context.Context, report func(Result)) error {
	for _, c := range certificates {
		message, err := k.certificate(c.change)
		if err != nil {
			return err
		}
		k.attempt(ctx, c.name, message, nil, report)
	}
	own, err := k.certificate(func(c *x509.Certificate) { c.PublicKey = k.public })
	if err != nil {
		return err
	}
	k.attempt(ctx, "own-key", own, nil, report)
	if err := k.attackForm(ctx, report); err != nil {
		return err
	}
	return k.attackMemory(ctx, report)
}

// attackForm asks for what is no whole message of the four kinds, or for it in
// another way than hsmd wants it.
func (k *key) attackForm(ctx context.Context, report func(Result)) error {
	tbs, err := k.certificate(nil)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(tbs)
	padding := bytes.Repeat([]byte(" "), 64)
	// The same length in one octet more than DER has it in.
	longer := append([]byte{0x30, 0x83, 0}, tbs[2:]...)
	for _, c := range []struct {
		name    string
		message []byte
		change  func(*wire.SignRequest)
	}{
		{"digest", nil, func(r *wire.SignRequest) { r.Digest = digest[:] }},
		{"digest-beside", tbs, func(r *wire.SignRequest) { r.Digest = digest[:] }},
		{"digest-as-message", digest[:], nil},
		{"text", []byte("This is signed by hsmd."), nil},
		{"tls-handshake", append(bytes.Clone(padding), "TLS 1.3, server CertificateVerify\x00"+string(digest[:])...), nil},
		{"octet-behind", append(bytes.Clone(tbs), 0), nil},
		{"cut-short", tbs[:len(tbs)-1], nil},
		{"long-length", longer, nil},
		{"long-garbage", bytes.Repeat([]byte("hsmd drill "), 20_000), nil},
		{"other-key", tbs, func(r *wire.SignRequest) { r.SPKI = digest[:] }},
		{"no-key", tbs, func(r *wire.SignRequest) { r.Key = "" }},
		{"other-scheme", tbs, func(r *wire.SignRequest) {
			r.Scheme = wire.Ed25519
			if k.scheme == wire.Ed25519 {
				r.Scheme = wire.ECDSAP256SHA256
			}
		}},
	} {
		k.attempt(ctx, c.name, c.message, c.change, report)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "hsmd drill"}}, k.target.throwaway)
	if err != nil {
		return err
	}
	csr, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return err
	}
	k.attempt(ctx, "request", csr.RawTBSCertificateRequest, nil, report)
	return nil
}

// attackMemory asks for what contradicts what was signed before.
func (k *key) attackMemory(ctx context.Context, report func(Result)) error {
	serial, revoked := newSerial(), newSerial()
	withSerial := func(name string, n *big.Int) func() ([]byte, error) {
		return func() ([]byte, error) {
			return k.certificate(func(c *x509.Certificate) { c.SerialNumber, c.Subject.CommonName = n, name })
		}
	}
	list := func(number int64, next time.Duration, revoked ...*big.Int) func() ([]byte, error) {
		return func() ([]byte, error) { return k.list(number, next, revoked...) }
	}
	good := func(n *big.Int) func() ([]byte, error) { return func() ([]byte, error) { return k.good(n) } }
	for _, c := range []struct {
		name  string
		first func() ([]byte, error) // what has to be signed for the attempt to be one
		then  func() ([]byte, error)
	}{
		{"serial-twice", withSerial("hsmd drill", serial), withSerial("hsmd drill, another", serial)},
		{"crl", nil, list(1, time.Minute)},
		{"crl-ten-years", nil, list(2, 10*365*24*time.Hour)},
		{"crl-number-again", list(10, time.Minute, revoked), list(10, 2*time.Minute, revoked)},
		{"crl-number-lower", list(20, time.Minute, revoked), list(19, time.Minute, revoked)},
		{"crl-unrevokes", list(30, time.Minute, revoked), list(31, time.Minute)},
		{"ocsp-good-never-issued", nil, good(newSerial())},
		{"ocsp-good-of-revoked", list(40, time.Minute, revoked), good(revoked)},
	} {
		if c.first != nil {
			message, err := c.first()
			if err != nil {
				return err
			}
			err = k.sign(ctx, func(r *wire.SignRequest) { r.Message = message })
			if v, words := verdict(err); v != Got {
				report(Result{Key: k.name, Attempt: c.name, Verdict: v, Words: "what it takes is refused already: " + words})
				continue
			}
		}
		message, err := c.then()
		if err != nil {
			return err
		}
		k.attempt(ctx, c.name, message, nil, report)
	}
	return nil
}
