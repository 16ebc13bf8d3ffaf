package ca

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"regexp"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// Issuer is a CA certificate of the mount and the key that belongs to it. It is
// immutable.
type Issuer struct {
	ID             string                `json:"id"`
	Name           string                `json:"name"`
	KeyID          string                `json:"key_id"`
	DER            []byte                `json:"certificate"`
	LeafNotAfter   role.NotAfterBehavior `json:"leaf_not_after_behavior"`
	Usage          []string              `json:"usage"`
	CRLAlgorithm   string                `json:"revocation_signature_algorithm"`
	Certificate    *x509.Certificate     `json:"-"`
	PEM            string                `json:"-"` // of the certificate, without a newline at its end
	Chain          [][]byte              `json:"-"` // DER, this certificate first
	ChainPEM       []string              `json:"-"`
	group          inventory.Group
	issuance       *issuance.Issuer
	urls           URLs
	crlAlgorithmID x509.SignatureAlgorithm
}

// AllUsages are what a new issuer may be used for.
var AllUsages = []string{"read-only", "issuing-certificates", "crl-signing", "ocsp-signing"}

func decodeIssuer(value []byte) (*Issuer, error) {
	i := new(Issuer)
	if err := json.Unmarshal(value, i); err != nil {
		return nil, err
	}
	return i, i.complete(URLs{})
}

// complete parses what is stored as octets.
func (i *Issuer) complete(urls URLs) error {
	var err error
	if i.Certificate, err = x509.ParseCertificate(i.DER); err != nil {
		return err
	}
	i.PEM = PEM("CERTIFICATE", i.DER)
	i.group = inventory.GroupOf(i.Certificate)
	// Chains are built among issuers when there are intermediates; a root's is
	// itself.
	i.Chain, i.ChainPEM = [][]byte{i.DER}, []string{i.PEM}
	if i.CRLAlgorithm != "" {
		i.crlAlgorithmID = i.Certificate.SignatureAlgorithm
	}
	i.urls = urls
	i.issuance, err = issuance.NewIssuer(i.Certificate, urls.issuance())
	return err
}

// withURLs is the issuer with other URLs. They were checked when they were set,
// so that the parts that could fail have been through it.
func (i *Issuer) withURLs(urls URLs) *Issuer {
	next := *i
	if made, err := issuance.NewIssuer(i.Certificate, urls.issuance()); err == nil {
		next.issuance, next.urls = made, urls
	}
	return &next
}

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
	if strings.EqualFold(ref, "default") {
		if ref = v.settings.DefaultIssuer; ref == "" {
			return nil, refuse("no default issuer currently configured")
		}
	}
	if i := v.issuers[ref]; i != nil {
		return i, nil
	}
	for _, i := range v.issuers {
		if i.Name != "" && i.Name == ref {
			return i, nil
		}
	}
	return nil, refuse("unable to find PKI issuer for reference: %s", ref)
}

// forIssuing is issuer in the words of the paths that issue.
func (v *view) forIssuing(ref string) (*Issuer, *Key, error) {
	i, err := v.issuer(ref)
	if err != nil {
		return nil, nil, refuse("could not fetch the CA certificate (was one set?): %v", err)
	}
	if !slices.Contains(i.Usage, "issuing-certificates") {
		return nil, nil, refuse("requested usage issuing-certificates for issuer [id:%s / name:%s] but only had usage %s", i.ID, i.Name, strings.Join(i.Usage, ","))
	}
	k := v.keys[i.KeyID]
	if k == nil {
		return nil, nil, refuse("unable to fetch corresponding key for issuer %s; unable to use this issuer for signing", i.ID)
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

var objectName = regexp.MustCompile(`^\w([\w.-]*\w)?$`)

// checkName checks the name of an issuer or key that is to be made.
func checkName(kind, name string) error {
	switch {
	case name == "":
		return nil
	case strings.EqualFold(name, "default"):
		return refuse("reserved keyword 'default' can not be used as %s name", kind)
	case !objectName.MatchString(name) || len(name) > 128:
		return refuse("%s name contained invalid characters", kind)
	}
	return nil
}

// freeNames refuses names that are taken. Two issuers of one name would be one
// reference for two.
func (v *view) freeNames(issuerName, keyName string, key []byte) error {
	for _, i := range v.issuers {
		if issuerName != "" && i.Name == issuerName {
			return refuse("issuer name already in use")
		}
	}
	for _, k := range v.keys {
		if keyName != "" && k.Name == keyName && !bytes.Equal(k.SPKI, key) {
			return refuse("key name already in use")
		}
	}
	return nil
}

// IsRoot reports whether the nth certificate of the chain is a root: one that
// certifies its own key. Every root made here has both key identifiers.
func (i *Issuer) IsRoot(n int) bool {
	cert := i.Certificate
	return n == len(i.Chain)-1 && bytes.Equal(cert.RawSubject, cert.RawIssuer) &&
		(len(cert.AuthorityKeyId) == 0 || bytes.Equal(cert.AuthorityKeyId, cert.SubjectKeyId))
}
