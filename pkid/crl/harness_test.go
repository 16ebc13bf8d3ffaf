package crl_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/crl"
	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
	"github.com/hsmpki/hsmpki/test/secret"
)

const uuid = "c0ffee00-0000-4000-8000-000000000000"

var (
	epoch = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ours  = inventory.Of(uuid)
	key   = newKey()
	root  = newRoot(key)
	group = inventory.GroupOf(root)
)

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func newRoot(key *ecdsa.PrivateKey) *x509.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Root"}, NotBefore: epoch, NotAfter: epoch.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}

// authority is a mount with one issuer whose key is in memory, on a store that
// may be in memory too.
type authority struct {
	t     *testing.T
	store store.Store
	*crl.Updater

	mu     sync.Mutex
	now    time.Time
	config crl.Config
	refuse error                         // of Signing
	sign   func(message io.Reader) error // before each signature; it may read
	signed int
	said   secret.Log
}

func newAuthority(t *testing.T, fs vfs.FS) *authority {
	t.Helper()
	s, err := pebblestore.Open(pebblestore.Config{Path: "state", FS: fs, MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, store: s, now: epoch, config: crl.DefaultConfig()}
	a.Updater = crl.New(crl.Settings{UUID: uuid, Store: s, Source: a, Now: a.clock, Log: slog.New(slog.NewTextHandler(&a.said, nil))})
	return a
}

// open makes one that is closed with the test.
func open(t *testing.T) *authority {
	a := newAuthority(t, vfs.NewMem())
	t.Cleanup(a.end)
	return a
}

func (a *authority) end() {
	a.Close()
	if err := a.store.Close(); err != nil {
		a.t.Error(err)
	}
}

func (a *authority) clock() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

// change changes what stands under mu.
func (a *authority) change(fn func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fn()
}

func (a *authority) later(d time.Duration) { a.change(func() { a.now = a.now.Add(d) }) }

// configure sets fields of config/crl as the API does.
func (a *authority) configure(fields map[string]any) {
	a.t.Helper()
	next, err := a.CRLConfig().With(vaultapi.NewParams(fields))
	if err != nil {
		a.t.Fatal(err)
	}
	a.change(func() { a.config = next })
}

func (a *authority) Groups() []inventory.Group { return []inventory.Group{group} }

func (a *authority) CRLConfig() crl.Config {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.config
}

func (a *authority) Signing(context.Context, inventory.Group) (*crl.Signing, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	issuer, err := issuance.NewIssuer(root, issuance.URLs{DeltaCRLDistributionPoints: []string{"http://ca.test/crl/delta"}})
	return &crl.Signing{Issuer: issuer, Key: a}, errors.Join(a.refuse, err)
}

func (a *authority) Public() crypto.PublicKey { return key.Public() }

func (a *authority) SignStream(message io.Reader, opts crypto.SignerOpts) ([]byte, error) {
	a.mu.Lock()
	before := a.sign
	a.signed++
	a.mu.Unlock()
	h := opts.HashFunc().New()
	message = io.TeeReader(message, h)
	if before != nil {
		if err := before(message); err != nil {
			return nil, err
		}
	}
	if _, err := io.Copy(io.Discard, message); err != nil {
		return nil, err
	}
	return ecdsa.SignASN1(rand.Reader, key, h.Sum(nil))
}

// large is the first of the serial numbers whose entries are large.
const large = 1 << 50

// revoke revokes serial numbers; it may be called from any goroutine.
func (a *authority) revoke(serials ...int64) error {
	return a.store.Update(context.Background(), func(tx store.Tx) error {
		for _, serial := range serials {
			r := &inventory.Revocation{Serial: big.NewInt(serial), Group: group, NotAfter: epoch.AddDate(1, 0, 0), At: epoch}
			if serial >= large {
				r.Reason, r.InvalidSince = issuance.KeyCompromise, epoch
			}
			if _, err := ours.Revoke(tx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *authority) mustRevoke(serials ...int64) {
	a.t.Helper()
	if err := a.revoke(serials...); err != nil {
		a.t.Fatal(err)
	}
}

// list reads a list as relying parties do, PEM too.
func (a *authority) list(kind crl.Kind) (*x509.RevocationList, error) {
	h, err := a.Latest(context.Background(), group, kind)
	if err != nil {
		return nil, err
	}
	var list *x509.RevocationList
	return list, h.Read(context.Background(), func(c *crl.Content) error {
		der, err := io.ReadAll(c.DER())
		if err != nil || int64(len(der)) != c.Size {
			return errors.Join(err, errors.New("the DER is not as long as was said"))
		}
		text, err := io.ReadAll(c.PEM())
		if err != nil {
			return err
		}
		if want := bytes.TrimSuffix(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), []byte("\n")); !bytes.Equal(text, want) {
			return errors.New("the PEM is not that of the DER")
		}
		if list, err = x509.ParseRevocationList(der); err != nil {
			return err
		}
		return list.CheckSignatureFrom(root)
	})
}

func (a *authority) mustList(kind crl.Kind) *x509.RevocationList {
	a.t.Helper()
	list, err := a.list(kind)
	if err != nil {
		a.t.Fatal(err)
	}
	return list
}

// has tells whether a list has all of these serial numbers.
func has(list *x509.RevocationList, serials ...int64) bool {
	in := map[int64]bool{}
	for _, e := range list.RevokedCertificateEntries {
		in[e.SerialNumber.Int64()] = true
	}
	for _, s := range serials {
		if !in[s] {
			return false
		}
	}
	return true
}

// parts counts the stored parts of lists.
func (a *authority) parts() (n int) {
	a.t.Helper()
	err := a.store.View(context.Background(), func(r store.Reader) error {
		for _, kind := range []crl.Kind{crl.Complete, crl.Delta} {
			start, end := store.Of(uuid).CRLParts(string(group), string(kind), 0)
			if err := r.Scan(start, end, func(_, _ []byte) error { n++; return nil }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return n
}
