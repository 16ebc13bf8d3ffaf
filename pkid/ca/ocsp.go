package ca

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/hsmpki/hsmpki/pkid/crl"
	"github.com/hsmpki/hsmpki/pkid/hsm"
	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/ocsp"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/wire"
)

// OCSP is an authority as its OCSP responder sees it.
type OCSP struct {
	a     *Authority
	shown atomic.Pointer[ocspView]
}

var (
	_ ocsp.StatusSource = (*OCSP)(nil)
	_ ocsp.KeySource    = (*OCSP)(nil)
)

// ocspView is what the responder was shown of a view.
type ocspView struct {
	of      *view
	view    *ocsp.View
	members map[string]member // by group
}

// member is the issuer of a group that answers, with its key.
type member struct {
	issuer *Issuer
	key    *Key
}

// OCSP gives the authority to its responder.
func (a *Authority) OCSP() *OCSP { return &OCSP{a: a} }

// View implements [ocsp.StatusSource]. A change of the authority that is not
// about OCSP gives the same view again, so that the responder keeps what it has.
func (o *OCSP) View() *ocsp.View { return o.current().view }

func (o *OCSP) current() *ocspView {
	for {
		before, v := o.shown.Load(), o.a.view.Load()
		if before != nil && before.of == v {
			return before
		}
		next := showOCSP(v)
		if before != nil && sameOCSP(before.view, next.view) {
			next.view = before.view
		}
		if o.shown.CompareAndSwap(before, next) {
			return next
		}
	}
}

// showOCSP picks of each group the issuer that answers for it: of those that
// may, the one that ends last.
func showOCSP(v *view) *ocspView {
	out := &ocspView{of: v, members: map[string]member{}}
	for _, i := range v.issuers {
		key := v.keys[i.KeyID]
		if key == nil || !i.may(usageOCSP) {
			continue
		}
		if best, ok := out.members[string(i.group)]; !ok || i.outlasts(best.issuer) {
			out.members[string(i.group)] = member{i, key}
		}
	}
	out.view = &ocsp.View{Settings: ocspSettings(&v.settings.CRL)}
	for group, m := range out.members {
		out.view.Issuers = append(out.view.Issuers, &ocsp.Issuer{
			Group: group, Certificate: m.issuer.Certificate, Algorithm: m.issuer.crlAlgorithmID,
		})
	}
	slices.SortFunc(out.view.Issuers, func(x, y *ocsp.Issuer) int { return strings.Compare(x.Group, y.Group) })
	return out
}

// ocspSettings is what config/crl says about OCSP.
func ocspSettings(c *crl.Config) ocsp.Settings {
	return ocsp.Settings{Disabled: c.OCSPDisable, Expiry: c.OCSPExpiry.Duration,
		UnissuedGood: c.OCSPUnissued == crl.UnissuedGood, ByIssuer: c.OCSPSigner == crl.SignerIssuer}
}

// outlasts orders issuers by their end, and then by id.
func (i *Issuer) outlasts(other *Issuer) bool {
	if end, others := i.Certificate.NotAfter, other.Certificate.NotAfter; !end.Equal(others) {
		return end.After(others)
	}
	return i.ID > other.ID
}

func sameOCSP(x, y *ocsp.View) bool {
	return x.Settings == y.Settings && slices.EqualFunc(x.Issuers, y.Issuers, func(x, y *ocsp.Issuer) bool {
		return x.Group == y.Group && x.Algorithm == y.Algorithm && x.Certificate.Equal(y.Certificate)
	})
}

// Changes implements [ocsp.StatusSource].
func (o *OCSP) Changes(ctx context.Context, group string) (n int64, err error) {
	err = o.a.cfg.Store.View(ctx, func(r store.Reader) error {
		n, err = o.a.inventory.Changes(r, inventory.Group(group))
		return err
	})
	return n, err
}

// Status implements [ocsp.StatusSource]. A serial number is known to the group
// whose issuer gave it, and to no other.
func (o *OCSP) Status(ctx context.Context, group string, serial []byte) (ocsp.Status, error) {
	number := new(big.Int).SetBytes(serial)
	var status ocsp.Status
	err := o.a.cfg.Store.View(ctx, func(r store.Reader) error {
		status = ocsp.Status{}
		revoked, err := o.a.inventory.Revocation(r, number)
		if err == nil && string(revoked.Group) == group {
			status = ocsp.Status{State: ocsp.Revoked, RevokedAt: revoked.At, Reason: revoked.Reason, InvalidityDate: revoked.InvalidSince}
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		issued, err := o.a.inventory.Get(r, number)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err == nil && string(issued.Group) == group {
			status.State = ocsp.Good
		}
		return err
	})
	return status, err
}

// use is what hsmd's log says of the signatures.
func (o *OCSP) use() string { return o.a.cfg.UUID + " ocsp" }

func (o *OCSP) member(i *ocsp.Issuer) (member, error) {
	m, ok := o.current().members[i.Group]
	if !ok {
		return m, fmt.Errorf("the issuer %s is gone, or may not sign OCSP answers any more", i.Certificate.Subject)
	}
	return m, nil
}

// IssuerKey implements [ocsp.KeySource].
func (o *OCSP) IssuerKey(i *ocsp.Issuer) (ocsp.Key, error) {
	m, err := o.member(i)
	if err != nil {
		return nil, err
	}
	return &ocspKey{o, m.key, m.key.hsm}, nil
}

// ResponderKey implements [ocsp.KeySource]. A certificate is about to be signed
// for the key, so what is signed must be able to be kept.
func (o *OCSP) ResponderKey(ctx context.Context, i *ocsp.Issuer) (ocsp.Key, error) {
	m, err := o.member(i)
	if err != nil {
		return nil, err
	}
	if err := o.a.cfg.Store.Writable(); err != nil {
		return nil, err
	}
	if err := o.a.permitted(ctx, m.key); err != nil {
		return nil, err
	}
	made, err := o.a.cfg.Keys.Generate(ctx, &wire.GenerateRequest{Key: m.key.ManagedName, ID: "ocsp", Responder: true, Context: o.use()})
	if err != nil {
		return nil, err
	}
	key, err := hsm.NewKey(m.key.ManagedName, made.Key.PublicKey)
	if err != nil {
		return nil, err
	}
	return &ocspKey{o, m.key, key}, nil
}

// Lint implements [ocsp.KeySource]: the mount's settings hold, as for other
// certificates. Nobody waits for what it finds, so that it is logged.
func (o *OCSP) Lint(i *ocsp.Issuer, prepared *issuance.Prepared) error {
	warnings, err := o.a.view.Load().lint(prepared, nil)
	for _, w := range warnings {
		o.a.cfg.Log.Warn("an OCSP responder's certificate is signed against which a lint speaks", "issuer", i.Certificate.Subject.String(), "finding", w)
	}
	return err
}

// Keep implements [ocsp.KeySource]: a responder's certificate is one that this
// CA has issued, and is found like any other.
func (o *OCSP) Keep(ctx context.Context, i *ocsp.Issuer, certificate *x509.Certificate) error {
	m, err := o.member(i)
	if err != nil {
		return err
	}
	now := o.a.cfg.Now()
	return o.a.update(ctx, func(tx store.Tx) error {
		return o.a.putCertificate(tx, m.issuer, certificate.Raw, certificate, now, "", "ocsp")
	})
}

// ocspKey is a key to sign answers with, of the mount's key that it is or
// belongs to.
type ocspKey struct {
	o   *OCSP
	of  *Key
	hsm hsm.Key
}

func (k *ocspKey) Public() crypto.PublicKey { return k.hsm.Public }

// Signer gives the key as long as the mount may use the one that it is of. What
// would have to wait for approval is refused: answers, and certificates of
// responders, are never the same twice, and anybody's query asks for them.
func (k *ocspKey) Signer(ctx context.Context) (crypto.MessageSigner, error) {
	if err := k.o.a.permitted(ctx, k.of); err != nil {
		return nil, err
	}
	return k.o.a.cfg.Keys.Signer(hsm.WithoutWaiting(ctx), k.hsm, k.o.use()), nil
}
