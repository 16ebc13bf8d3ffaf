package ca

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
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

// CheckKind refuses a kind that there is not, and what makes no sense with one.
// Callers ask before they read the rest of the wish, whose defaults are those
// of a key that is yet to be made.
func (req *RootRequest) CheckKind() error {
	switch req.Kind {
	case "exported":
		return refuse("root/generate/exported is refused: a CA key that can leave is what this program exists to prevent. The key stays in the HSM with root/generate/kms (a managed key that you name) or root/generate/internal (one that hsmd names)")
	case "internal":
		return nil
	case "kms", "existing":
	default:
		return refuse("unknown type of root %q: must be kms, internal or existing", req.Kind)
	}
	switch {
	case req.KeyTypeGiven:
		return refuse("invalid parameter for the kms/existing path parameter, key_type nor key_bits arguments can be set in this mode")
	case req.Kind == "kms" && (req.ManagedKeyName == "") == (req.ManagedKeyID == ""):
		return refuse("one of managed_key_name and managed_key_id must be given, to say which managed key is the CA's")
	case req.Kind == "existing" && req.KeyRef == "":
		return refuse("missing argument key_ref for existing type")
	}
	return nil
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
	if err := req.CheckKind(); err != nil {
		return nil, err
	}
	if err := checkName("issuer", req.IssuerName); err != nil {
		return nil, err
	}
	if err := checkName("key", req.KeyName); err != nil {
		return nil, err
	}
	newKeyName := ""
	if req.Kind == "internal" {
		newKeyName = req.KeyName
	}
	if err := a.view.Load().freeNames(req.IssuerName, newKeyName, nil); err != nil {
		return nil, err
	}
	now := a.cfg.Now()
	template, warnings, err := req.Wish.Request(a.terms(now, nil, role.BeyondPermit))
	if err != nil {
		return nil, err
	}
	urls := a.URLs()
	template.URLs = urls.issuance()
	if err := rehearse(template, now); err != nil {
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
	} else if req.KeyName != "" && req.KeyName != key.Name {
		warnings = append(warnings, fmt.Sprintf("key_name %q is ignored: the mount has this key already, under the name %q", req.KeyName, key.Name))
	}
	if err := a.view.Load().freeNames("", req.KeyName, key.SPKI); err != nil {
		return nil, err
	}

	// Step 3: the certificate.
	template.PublicKey = key.hsm.Public
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

	// Step 4: all of it, in one update.
	if err := a.change(ctx, func(v *view, tx store.Tx) error { return a.addRoot(v, tx, issuer, key) }); err != nil {
		return nil, err
	}

	// Step 5: its first CRL. A CA without one works: reading it tries again, and
	// so does pkid by itself.
	warnings = append(warnings, a.firstCRL(ctx, issuer)...)
	return &Root{Issuer: issuer, Key: key, Warnings: warnings}, nil
}

// rehearse prepares the root with a throwaway key: a request that cannot become
// a root makes no key in the HSM, where nobody would clear it away.
func rehearse(template *issuance.RootRequest, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	trial := *template
	trial.PublicKey = key.Public()
	_, err = issuance.PrepareRoot(&trial, now)
	return err
}

func (a *Authority) rootKey(ctx context.Context, req *RootRequest) (*Key, error) {
	switch req.Kind {
	case "kms":
		return a.managed(ctx, req.ManagedKeyName, req.ManagedKeyID, req.RequestID)
	case "existing":
		return a.Key(req.KeyRef)
	}
	return a.internal(ctx, req.Wish.KeyType, req.Wish.KeyBits, req.RequestID)
}

// addRoot puts a root, and what belongs to it, into view and store. The names
// are looked at again: another request may have taken them meanwhile.
func (a *Authority) addRoot(v *view, tx store.Tx, issuer *Issuer, key *Key) error {
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
