package ca

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// RootRequest is what a caller of root/generate/:type and root/rotate/:type
// says.
type RootRequest struct {
	Key        KeyRequest
	Wish       *role.RootWish
	IssuerName string
	// NameIfFree is taken where there is no IssuerName, unless another issuer
	// has it.
	NameIfFree string
	Draw       Draw
}

// Root is a new root.
type Root struct {
	Issuer   *Issuer
	Key      *Key
	Warnings []string
}

func newID() string { return uuid.NewString() }

// GenerateRoot makes a self-signed CA. The key is found or made first; if pkid
// dies after that, the same request finds it and goes on.
func (a *Authority) GenerateRoot(ctx context.Context, req *RootRequest) (*Root, error) {
	// Step 1: what can be said without a key.
	if err := checkName("issuer", req.IssuerName); err != nil {
		return nil, err
	}
	if err := a.view.Load().freeIssuerName(req.IssuerName, ""); err != nil {
		return nil, err
	}
	draw := req.Draw.or(a.cfg.Now)
	now := draw.Now
	template, warnings, err := req.Wish.Request(a.terms(now, nil, role.BeyondPermit))
	if err != nil {
		return nil, err
	}

	if err := rehearse(template, now); err != nil {
		return nil, err
	}

	// Step 2: the key.
	key, more, err := a.requestedKey(ctx, &req.Key)
	if err != nil {
		return nil, err
	}
	warnings = append(warnings, more...)

	// Step 3: the certificate, with the mount's URLs as they are for it.
	id := draw.New
	template.Serial = draw.Serial
	template.PublicKey = key.hsm.Public
	if template.URLs, more = a.view.Load().rootURLs(id); len(more) > 0 {
		warnings = append(warnings, more...)
	}
	prepared, err := issuance.PrepareRoot(template, now)
	if err != nil {
		return nil, err
	}
	findings, err := a.view.Load().lint(prepared, nil)
	if err != nil {
		return nil, err
	}
	warnings = append(warnings, findings...)
	signer, err := a.signer(ctx, key, a.cfg.UUID+" "+req.Key.RequestID)
	if err != nil {
		return nil, err
	}
	der, cert, err := issuance.IssueRoot(prepared, signer)
	if err != nil {
		return nil, err
	}
	issuer, more, err := newIssuer(id, der)
	if err != nil {
		return nil, err
	}
	warnings = append(warnings, more...)
	issuer.Name, issuer.CRLAlgorithm = req.IssuerName, crlAlgorithmName(cert.SignatureAlgorithm)

	// Step 4: all of it, in one update, even if whoever asked has gone away: the
	// root is signed.
	if err := a.change(context.WithoutCancel(ctx), func(v *view, tx store.Tx) error { return a.addRoot(v, tx, *issuer, key, req.NameIfFree, now) }); err != nil {
		return nil, err
	}

	// Step 5: its CRL.
	v := a.view.Load()
	made := v.issuers[id]
	if made == nil {
		return nil, refuse("issuer %s was deleted while it was being made", id)
	}
	warnings = append(warnings, a.firstCRL(ctx, made)...)
	return &Root{Issuer: made, Key: v.keys[made.KeyID], Warnings: warnings}, nil
}

// rehearse prepares the root with a throwaway key: a request that cannot become
// a root makes no key in the HSM, where nobody would clear it away.
func rehearse(template *issuance.CARequest, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	trial := *template
	trial.PublicKey = key.Public()
	_, err = issuance.PrepareRoot(&trial, now)
	return err
}

// rootURLs are the URLs that end in a root's own certificate.
func (v *view) rootURLs(id string) (urls issuance.URLs, warnings []string) {
	filled, err := v.settings.URLs.filled(v.settings.values(id))
	if err != nil {
		return issuance.URLs{}, []string{fmt.Sprintf("%v: the root's certificate has no URLs of config/urls in it", err)}
	}
	if filled.empty() {
		warnings = append(warnings, "This mount hasn't configured any authority information access (AIA) fields; this may make it harder for systems to find missing certificates in the chain or to validate revocation status of certificates. Consider updating /config/urls or the newly generated issuer with this information.")
	}
	return filled.issuance(), warnings
}

// addRoot puts a root, and what belongs to it, into view and store. The names
// are looked at again: another request may have taken them meanwhile.
func (a *Authority) addRoot(v *view, tx store.Tx, issuer Issuer, key *Key, nameIfFree string, now time.Time) error {
	if issuer.Name == "" && v.freeIssuerName(nameIfFree, "") == nil {
		issuer.Name = nameIfFree
	}
	if err := v.freeIssuerName(issuer.Name, ""); err != nil {
		return err
	}
	key, err := a.addKey(v, tx, key)
	if err != nil {
		return err
	}
	if err := issuer.take(key); err != nil {
		return err
	}
	if v.settings.DefaultIssuer == "" || v.settings.DefaultFollowsLatestIssuer {
		v.settings.DefaultIssuer = issuer.ID
		if err := v.putSettings(tx, a.space); err != nil {
			return err
		}
	}
	if err := a.putIssuer(v, tx, &issuer); err != nil {
		return err
	}
	return a.putCertificate(tx, &issuer, issuer.DER, issuer.Certificate, now, "", "")
}

func putJSON(tx store.Tx, key []byte, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return tx.Put(key, raw)
}

// terms are what binds a certificate beside its role.
func (a *Authority) terms(now time.Time, issuer *x509.Certificate, beyond role.NotAfterBehavior) *role.Terms {
	l := a.limits.Load()
	return &role.Terms{Now: now, DefaultTTL: l.DefaultTTL, MaxTTL: l.MaxTTL, Issuer: issuer, Beyond: beyond}
}
