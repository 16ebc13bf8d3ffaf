package ca

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// Issuer is a CA certificate of the mount and the key that belongs to it, if the
// mount has it. It is immutable.
type Issuer struct {
	ID           string                `json:"id"`
	Name         string                `json:"name"`
	KeyID        string                `json:"key_id"` // "" where only the certificate is known
	DER          []byte                `json:"certificate"`
	LeafNotAfter role.NotAfterBehavior `json:"leaf_not_after_behavior"`
	Usage        []string              `json:"usage"` // of AllUsages, in that order
	CRLAlgorithm string                `json:"revocation_signature_algorithm"`
	ManualChain  []string              `json:"manual_chain,omitempty"` // ids, its own first; nil: none was chosen
	RevokedAt    *time.Time            `json:"revoked_at,omitempty"`
	// URLs are its own; without any the mount's count.
	URLs URLs `json:"urls"`

	Certificate *x509.Certificate `json:"-"`
	PEM         string            `json:"-"` // of the certificate, without a newline at its end
	Chain       [][]byte          `json:"-"` // DER, this certificate first
	ChainPEM    []string          `json:"-"`

	group          inventory.Group
	crlAlgorithmID x509.SignatureAlgorithm // 0: the key's usual one
	derived
}

// AllUsages are what a new issuer may be used for.
var AllUsages = []string{usageRead, usageIssue, usageCRL, usageOCSP}

// The usages of an issuer, in the words of the API.
const (
	usageRead  = "read-only"
	usageIssue = "issuing-certificates"
	usageCRL   = "crl-signing"
	usageOCSP  = "ocsp-signing"
)

func decodeIssuer(value []byte) (*Issuer, error) {
	i := new(Issuer)
	if err := json.Unmarshal(value, i); err != nil {
		return nil, err
	}
	return i, i.complete()
}

// complete parses what is stored as octets. What depends on other objects of
// the mount is for view.settle.
func (i *Issuer) complete() error {
	var err error
	if i.Certificate, err = x509.ParseCertificate(i.DER); err != nil {
		return err
	}
	i.PEM = PEM("CERTIFICATE", i.DER)
	i.group = inventory.GroupOf(i.Certificate)
	i.URLs = i.URLs.clone()
	i.crlAlgorithmID = crlAlgorithms[strings.ToLower(i.CRLAlgorithm)]
	return nil
}

// may reports whether the issuer may be used for something.
func (i *Issuer) may(usage string) bool { return slices.Contains(i.Usage, usage) }

// PEM encodes one block, without the newline at its end: answers of the API
// have none.
func PEM(kind string, der []byte) string {
	return strings.TrimSuffix(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})), "\n")
}

// Issuers lists the mount's issuers in order of id, and the default's id.
func (a *Authority) Issuers() (all []*Issuer, defaultID string) {
	v := a.view.Load()
	for _, i := range v.issuers {
		all = append(all, i)
	}
	slices.SortFunc(all, func(x, y *Issuer) int { return strings.Compare(x.ID, y.ID) })
	return all, v.settings.DefaultIssuer
}

// Issuer finds an issuer by id, name or "default".
func (a *Authority) Issuer(ref string) (*Issuer, error) { return a.view.Load().issuer(ref) }

// HasIssuer reports whether there is a default issuer: paths that serve its
// certificate answer with nothing as long as there is none.
func (a *Authority) HasIssuer() bool { return a.view.Load().settings.DefaultIssuer != "" }

func (v *view) issuer(ref string) (*Issuer, error) {
	if i := v.findIssuer(ref); i != nil {
		return i, nil
	}
	if strings.EqualFold(ref, "default") {
		return nil, refuse("no default issuer currently configured")
	}
	return nil, refuse("unable to find PKI issuer for reference: %s", ref)
}

// findIssuer is issuer with nil for what is not there.
func (v *view) findIssuer(ref string) *Issuer {
	if strings.EqualFold(ref, "default") {
		ref = v.settings.DefaultIssuer
	}
	if i := v.issuers[ref]; i != nil {
		return i
	}
	for _, i := range v.issuers {
		if i.Name != "" && i.Name == ref {
			return i
		}
	}
	return nil
}

// forIssuing is issuer in the words of the paths that issue.
func (v *view) forIssuing(ref string) (*Issuer, *Key, error) {
	i, err := v.issuer(ref)
	if err != nil {
		return nil, nil, refuse("could not fetch the CA certificate (was one set?): %v", err)
	}
	if !i.may(usageIssue) {
		return nil, nil, refuse("requested usage issuing-certificates for issuer [id:%s / name:%s] but only had usage %s", i.ID, i.Name, strings.Join(i.Usage, ","))
	}
	k := v.keys[i.KeyID]
	if k == nil {
		return nil, nil, refuse("unable to fetch corresponding key for issuer %s; unable to use this issuer for signing", i.ID)
	}
	if i.fault != nil {
		return nil, nil, i.fault
	}
	return i, k, nil
}

// SetDefaultIssuer makes the issuer with this reference the default.
func (a *Authority) SetDefaultIssuer(ctx context.Context, ref string, follow *bool) error {
	if strings.EqualFold(ref, "default") {
		return refuse("reference must be to an issuer by id or name, not to the default")
	}
	return a.change(ctx, func(v *view, tx store.Tx) error {
		if ref != "" {
			i, err := v.issuer(ref)
			if err != nil {
				return err
			}
			v.settings.DefaultIssuer = i.ID
		}
		if follow != nil {
			v.settings.DefaultFollowsLatestIssuer = *follow
		}
		return v.putSettings(tx, a.space)
	})
}

// FollowsLatest is default_follows_latest_issuer.
func (a *Authority) FollowsLatest() bool { return a.view.Load().settings.DefaultFollowsLatestIssuer }

// IsRoot reports whether the nth certificate of the chain is a root: one with an
// authority key identifier equal to its subject key identifier, or without one
// and signed by itself.
func (i *Issuer) IsRoot(n int) bool { return i.roots[n] }
