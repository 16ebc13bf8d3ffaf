package ca

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"github.com/google/uuid"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// RootRequest is what a caller of root/generate/:type says.
type RootRequest struct {
	// Kind is the path's: "kms", "internal", "existing" or "exported".
	Kind string
	Wish *role.RootWish
	// KeyTypeGiven says that key_type or key_bits was in the request, which has
	// no sense where the key is there already.
	KeyTypeGiven                 bool
	IssuerName, KeyName          string
	KeyRef                       string // of "existing"
	ManagedKeyName, ManagedKeyID string // of "kms": one of them
	RequestID                    string
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
	if err := checkName("key", req.KeyName); err != nil {
		return nil, err
	}
	if err := a.view.Load().freeNames(req.IssuerName, "", nil); err != nil {
		return nil, err
	}
	now := a.cfg.Now()
	template, warnings, err := req.Wish.Request(a.terms(now, nil, role.BeyondPermit))
	if err != nil {
		return nil, err
	}

	// Step 2: the key.
	key, err := a.rootKey(ctx, req)
	if err != nil {
		return nil, err
	}
	if key.Name == "" && req.KeyName != "" {
		named := *key
		named.Name = req.KeyName
		key = &named
	}
	if err := a.view.Load().freeNames("", req.KeyName, key.SPKI); err != nil {
		return nil, err
	}

	// Step 3: the certificate. A token may have a key that was made elsewhere,
	// or be one that makes bad keys.
	if err := a.cfg.GoodKeys.Check(key.hsm.Public); err != nil {
		return nil, refuse("%s", err)
	}
	urls := a.URLs()
	template.PublicKey, template.URLs = key.hsm.Public, urls.issuance()
	prepared, err := issuance.PrepareRoot(template, now)
	if err != nil {
		return nil, err
	}
	signer, err := a.signer(ctx, key, a.cfg.UUID+" "+req.RequestID)
	if err != nil {
		return nil, err
	}
	der, cert, err := issuance.IssueRoot(prepared, signer)
	if err != nil {
		return nil, err
	}
	issuer := &Issuer{ID: newID(), Name: req.IssuerName, KeyID: key.ID, DER: der, LeafNotAfter: role.BeyondErr, Usage: AllUsages,
		CRLAlgorithm: crlAlgorithmName(cert)}
	if err := issuer.complete(urls); err != nil {
		return nil, err
	}
	if urls.empty() {
		warnings = append(warnings, "This mount hasn't configured any authority information access (AIA) fields; this may make it harder for systems to find missing certificates in the chain or to validate revocation status of certificates. Consider updating /config/urls or the newly generated issuer with this information.")
	}

	// Step 4: its first CRL. A CA without one works; reading it tries again.
	list, err := a.signCRL(ctx, issuer, key, big.NewInt(1), now, req.RequestID)
	if err != nil {
		a.cfg.Log.Warn("the first CRL of a new root could not be made", "issuer", issuer.ID, "error", err)
		warnings = append(warnings, fmt.Sprintf("the root is made, but its first CRL could not be signed and is made when it is read: %v", err))
	}

	// Step 5: all of it, in one update.
	err = a.change(ctx, func(v *view, tx store.Tx) error { return a.addRoot(v, tx, issuer, key, list) })
	if err != nil {
		return nil, err
	}
	return &Root{Issuer: issuer, Key: key, Warnings: warnings}, nil
}

func (a *Authority) rootKey(ctx context.Context, req *RootRequest) (*Key, error) {
	if (req.Kind == "kms" || req.Kind == "existing") && req.KeyTypeGiven {
		return nil, refuse("invalid parameter for the kms/existing path parameter, key_type nor key_bits arguments can be set in this mode")
	}
	switch req.Kind {
	case "kms":
		if (req.ManagedKeyName == "") == (req.ManagedKeyID == "") {
			return nil, refuse("one of managed_key_name and managed_key_id must be given, to say which managed key is the CA's")
		}
		return a.managed(ctx, req.ManagedKeyName, req.ManagedKeyID, req.RequestID)
	case "existing":
		if req.KeyRef == "" {
			return nil, refuse("missing argument key_ref for existing type")
		}
		return a.Key(req.KeyRef)
	case "internal":
		return a.internal(ctx, req.Wish.KeyType, req.Wish.KeyBits, req.RequestID)
	case "exported":
		return nil, refuse("root/generate/exported is refused: a CA key that can leave is what this program exists to prevent. The key stays in the HSM with root/generate/kms (a managed key that you name) or root/generate/internal (one that hsmd names)")
	}
	return nil, refuse("unknown type of root %q: must be kms, internal or existing", req.Kind)
}

// addRoot puts a root, and what belongs to it, into view and store. The names
// are looked at again: another request may have taken them meanwhile.
func (a *Authority) addRoot(v *view, tx store.Tx, issuer *Issuer, key *Key, list *crlRecord) error {
	if err := v.freeNames(issuer.Name, key.Name, key.SPKI); err != nil {
		return err
	}
	if known := v.keyOf(key.SPKI); known != nil && known.ID != key.ID {
		// Two requests found the same key pair at the same time.
		issuer.KeyID, key = known.ID, known
	}
	v.keys[key.ID], v.issuers[issuer.ID] = key, issuer
	if v.settings.DefaultKey == "" {
		v.settings.DefaultKey = key.ID
	}
	if v.settings.DefaultIssuer == "" || v.settings.DefaultFollowsLatestIssuer {
		v.settings.DefaultIssuer = issuer.ID
	}
	if err := v.putSettings(tx, a.space); err != nil {
		return err
	}
	if err := putJSON(tx, a.space.Key(key.ID), key); err != nil {
		return err
	}
	if err := putJSON(tx, a.space.Issuer(issuer.ID), issuer); err != nil {
		return err
	}
	if list != nil {
		if err := putJSON(tx, a.space.CRL(string(issuer.group)), list); err != nil {
			return err
		}
	}
	return a.putCertificate(tx, issuer, issuer.DER, issuer.Certificate, a.cfg.Now(), "", "")
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

// crlAlgorithmName is the revocation_signature_algorithm that a new issuer
// gets: its certificate's, in Vault's spelling.
func crlAlgorithmName(cert *x509.Certificate) string {
	return map[x509.SignatureAlgorithm]string{
		x509.SHA256WithRSA: "SHA256WithRSA", x509.SHA384WithRSA: "SHA384WithRSA", x509.SHA512WithRSA: "SHA512WithRSA",
		x509.SHA256WithRSAPSS: "SHA256WithRSAPSS", x509.SHA384WithRSAPSS: "SHA384WithRSAPSS", x509.SHA512WithRSAPSS: "SHA512WithRSAPSS",
		x509.ECDSAWithSHA256: "ECDSAWithSHA256", x509.ECDSAWithSHA384: "ECDSAWithSHA384", x509.ECDSAWithSHA512: "ECDSAWithSHA512",
		x509.PureEd25519: "Ed25519",
	}[cert.SignatureAlgorithm]
}
