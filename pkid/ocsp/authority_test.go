package ocsp_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/tbs"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/ocsp"
	"github.com/hsmpki/hsmpki/wire"
)

// authority is the other side of the seam: what a CA knows, and its keys, in
// memory.
type authority struct {
	view atomic.Pointer[ocsp.View]

	mu       sync.Mutex
	now      time.Time
	statuses map[string]ocsp.Status // group, blank, serial's octets
	changes  map[string]int64
	keys     map[string]crypto.Signer // of issuers, by group
	kept     []*x509.Certificate

	responder crypto.Signer // hsmd's, until it is started anew
	asked     int           // for the responder's key
	signed    int           // by any key
	fault     error         // of every key's signature
	keyFault  error         // of asking for the responder's key
	finding   error         // of lints
	meanwhile func()        // happens once, while a message is being signed
}

func newAuthority(now time.Time) *authority {
	a := &authority{now: now, statuses: map[string]ocsp.Status{}, changes: map[string]int64{}, keys: map[string]crypto.Signer{}}
	settings := ocsp.DefaultSettings
	a.view.Store(&ocsp.View{Settings: settings})
	return a
}

func (a *authority) set(change func(*ocsp.View)) {
	next := *a.view.Load()
	change(&next)
	a.view.Store(&next)
}

func (a *authority) clock() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

func (a *authority) pass(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = a.now.Add(d)
}

func (a *authority) lock(do func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	do()
}

// status sets what is known of a certificate, and counts the change.
func (a *authority) status(group string, serial *big.Int, s ocsp.Status) {
	a.lock(func() {
		a.statuses[group+" "+string(serial.Bytes())] = s
		a.changes[group]++
	})
}

func (a *authority) View() *ocsp.View { return a.view.Load() }

func (a *authority) Changes(_ context.Context, group string) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changes[group], nil
}

func (a *authority) Status(_ context.Context, group string, serial []byte) (ocsp.Status, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.statuses[group+" "+string(serial)], nil
}

func (a *authority) IssuerKey(i *ocsp.Issuer) (ocsp.Key, error) {
	return &key{a, a.keys[i.Group], false}, nil
}

func (a *authority) ResponderKey(context.Context, *ocsp.Issuer) (ocsp.Key, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	if a.keyFault != nil {
		return nil, a.keyFault
	}
	if a.responder == nil {
		a.responder = newKey("P-256")
	}
	return &key{a, a.responder, true}, nil
}

func (a *authority) Lint(*ocsp.Issuer, *issuance.Prepared) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.finding
}

func (a *authority) Keep(_ context.Context, _ *ocsp.Issuer, certificate *x509.Certificate) error {
	a.lock(func() { a.kept = append(a.kept, certificate) })
	return nil
}

// key signs messages, as one behind hsmd does: OCSP responses that hsmd
// recognises only. A responder's is gone when hsmd has another.
type key struct {
	a      *authority
	signer crypto.Signer
	made   bool
}

func (k *key) Public() crypto.PublicKey                                  { return k.signer.Public() }
func (k *key) Signer(context.Context) (crypto.MessageSigner, error)      { return k, nil }
func (k *key) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { panic("asked for a digest") }

func (k *key) SignMessage(random io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.a.mu.Lock()
	if do := k.a.meanwhile; do != nil {
		k.a.meanwhile = nil
		k.a.mu.Unlock()
		do()
		k.a.mu.Lock()
	}
	k.a.signed++
	fault := k.a.fault
	_, err := tbs.Parse(message, tbs.Rules{Now: k.a.now.Add(year), Scheme: wire.ECDSAP256SHA256})
	if e, ok := errors.AsType[*tbs.Error](err); ok && e.Kind == tbs.OCSPResponse {
		fault = wire.Errorf(wire.Invalid, "%v", err)
	}
	if k.made && k.signer != k.a.responder {
		fault = wire.Errorf(wire.KeyChanged, "another key")
	}
	k.a.mu.Unlock()
	if fault != nil {
		return nil, fault
	}
	return crypto.SignMessage(k.signer, random, message, opts)
}

func newKey(kind string) crypto.Signer {
	var signer crypto.Signer
	var err error
	switch kind {
	case "RSA":
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case "Ed25519":
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		curves := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}
		signer, err = ecdsa.GenerateKey(curves[kind], rand.Reader)
	}
	if err != nil {
		panic(err)
	}
	return signer
}

// issuer makes a root with a key of this kind, and has the authority answer for
// it under its name as group.
func (a *authority) issuer(t testing.TB, name, kind string, algorithm x509.SignatureAlgorithm, life time.Duration) *ocsp.Issuer {
	t.Helper()
	a.keys[name] = newKey(kind)
	signer := &key{a, a.keys[name], false}
	bits := map[x509.SignatureAlgorithm]int{x509.SHA384WithRSA: 384, x509.SHA384WithRSAPSS: 384, x509.SHA512WithRSA: 512, x509.SHA512WithRSAPSS: 512}
	prepared, err := issuance.PrepareRoot(&issuance.CARequest{
		Names: issuance.Names{Subject: pkix.Name{CommonName: name, Organization: []string{"hsmpki"}}}, PublicKey: signer.Public(), MaxPathLength: 0,
		NotBefore: a.now.Add(-time.Hour), NotAfter: a.now.Add(life), SignatureBits: bits[algorithm],
		PSS: algorithm == x509.SHA256WithRSAPSS || algorithm == x509.SHA384WithRSAPSS || algorithm == x509.SHA512WithRSAPSS,
	}, a.now)
	if err != nil {
		t.Fatal(err)
	}
	_, cert, err := issuance.IssueRoot(prepared, signer)
	if err != nil {
		t.Fatal(err)
	}
	i := &ocsp.Issuer{Group: name, Certificate: cert, Algorithm: algorithm}
	a.set(func(v *ocsp.View) { v.Issuers = append(append([]*ocsp.Issuer(nil), v.Issuers...), i) })
	return i
}

// leaf issues a certificate whose status is good.
func (a *authority) leaf(t testing.TB, i *ocsp.Issuer) *x509.Certificate {
	t.Helper()
	issuer, err := issuance.NewIssuer(i.Certificate, issuance.URLs{})
	if err != nil {
		t.Fatal(err)
	}
	now := a.clock()
	prepared, err := issuer.Prepare(&issuance.Request{Names: issuance.Names{Subject: pkix.Name{CommonName: "leaf"}}, PublicKey: newKey("P-256").Public(),
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour)}, now)
	if err != nil {
		t.Fatal(err)
	}
	_, cert, err := issuer.Issue(prepared, &key{a, a.keys[i.Group], false})
	if err != nil {
		t.Fatal(err)
	}
	a.status(i.Group, cert.SerialNumber, ocsp.Status{State: ocsp.Good})
	return cert
}

func (a *authority) open(t testing.TB) *ocsp.Responder {
	t.Helper()
	r, err := ocsp.New(ocsp.Config{Source: a, Keys: a, Now: a.clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
