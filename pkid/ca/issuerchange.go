package ca

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// IssuerChange changes what is not nil.
type IssuerChange struct {
	Name         *string
	LeafNotAfter *string
	ManualChain  *[]string // references; empty: none is chosen
	Usage        *[]string
	// DefaultUsage gives back all usages that the issuer may have.
	DefaultUsage bool
	CRLAlgorithm *string
	URLs         URLChange
}

// ChangeIssuer changes an issuer. What of the usages is by default and not
// possible is left out with a warning; what was asked for is refused.
func (a *Authority) ChangeIssuer(ctx context.Context, ref string, c *IssuerChange) (*Issuer, []string, error) {
	var warnings []string
	i, err := a.editIssuer(ctx, ref, func(v *view, _ store.Tx, next *Issuer) (err error) {
		if c.Name != nil && *c.Name != next.Name {
			if err := checkName("issuer", *c.Name); err != nil {
				return err
			}
			if err := v.freeIssuerName(*c.Name, next.ID); err != nil {
				return err
			}
			next.Name = *c.Name
		}
		if c.LeafNotAfter != nil {
			if next.LeafNotAfter, err = role.ParseNotAfterBehavior(*c.LeafNotAfter); err != nil {
				return err
			}
		}
		if warnings, err = next.changeUsage(c); err != nil {
			return err
		}
		if c.CRLAlgorithm != nil {
			if err := next.setCRLAlgorithm(*c.CRLAlgorithm, v.keys[next.KeyID]); err != nil {
				return err
			}
		}
		if next.URLs, err = next.URLs.with(c.URLs); err != nil {
			return err
		}
		warnings = append(warnings, v.settings.lacking(next.URLs)...)
		if c.ManualChain != nil {
			next.ManualChain, err = v.manualChain(next, *c.ManualChain)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if n := len(i.path); n < len(i.ManualChain) {
		warnings = append(warnings, fmt.Sprintf("manual_chain does not verify: the key of its certificate %d has not signed certificate %d", n+1, n))
	}
	return i, warnings, nil
}

// editIssuer changes a copy of an issuer and puts it in its place.
func (a *Authority) editIssuer(ctx context.Context, ref string, edit func(v *view, tx store.Tx, next *Issuer) error) (*Issuer, error) {
	var id string
	err := a.change(ctx, func(v *view, tx store.Tx) error {
		old, err := v.issuer(ref)
		if err != nil {
			return err
		}
		next := *old
		id = next.ID
		if err := edit(v, tx, &next); err != nil {
			return err
		}
		return a.putIssuer(v, tx, &next)
	})
	if err != nil {
		return nil, err
	}
	return a.Issuer(id)
}

func (i *Issuer) changeUsage(c *IssuerChange) (warnings []string, err error) {
	var asked []string
	switch {
	case c.Usage != nil:
		asked = *c.Usage
	case c.DefaultUsage:
		asked = AllUsages
	default:
		return nil, nil
	}
	wanted := map[string]bool{usageRead: true}
	for _, text := range asked {
		usage := strings.ToLower(strings.TrimSpace(text))
		if !slices.Contains(AllUsages, usage) {
			return nil, refuse("usage: unknown usage %.50q: it is one of %s", text, strings.Join(AllUsages, ", "))
		}
		wanted[usage] = true
	}
	i.Usage = nil
	for _, usage := range AllUsages {
		if !wanted[usage] {
			continue
		}
		err := i.allows(usage)
		if i.RevokedAt != nil && usage == usageIssue {
			err = fmt.Errorf("this issuer was revoked; unable to modify its usage to include certificate signing again. Reissue this certificate (preferably with a new key) and modify that entry instead")
		}
		switch {
		case err == nil:
			i.Usage = append(i.Usage, usage)
		case c.Usage != nil:
			return nil, refuse("usage %s: %v", usage, err)
		default:
			warnings = append(warnings, fmt.Sprintf("The issuer does not get the usage %s: %v", usage, err))
		}
	}
	return warnings, nil
}

// setCRLAlgorithm sets revocation_signature_algorithm; "" is the key's usual
// one.
func (i *Issuer) setCRLAlgorithm(text string, k *Key) error {
	algorithm, known := crlAlgorithms[strings.ToLower(text)]
	switch {
	case text == "":
	case !known:
		return refuse("revocation_signature_algorithm: unknown signature algorithm %.50q", text)
	case i.issuance == nil || algorithmKey(algorithm) != i.Certificate.PublicKeyAlgorithm:
		return refuse("revocation_signature_algorithm: the key of type %s of this issuer cannot sign with %s", i.Certificate.PublicKeyAlgorithm, crlAlgorithmName(algorithm))
	case algorithmKey(algorithm) != x509.RSA && algorithm != i.issuance.SignatureAlgorithm():
		return refuse("revocation_signature_algorithm: the key of this issuer signs with %s only", i.issuance.SignatureAlgorithm())
	case k != nil && k.PSSOnly && !strings.HasSuffix(crlAlgorithmName(algorithm), "PSS"):
		return refuse("revocation_signature_algorithm: the key of this issuer makes RSA-PSS signatures only")
	}
	i.CRLAlgorithm = crlAlgorithmName(algorithm)
	if k != nil {
		return i.take(k)
	}
	return i.complete()
}

func algorithmKey(a x509.SignatureAlgorithm) x509.PublicKeyAlgorithm {
	switch a {
	case x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		return x509.ECDSA
	case x509.PureEd25519:
		return x509.Ed25519
	case x509.MLDSA44, x509.MLDSA65, x509.MLDSA87:
		return x509.MLDSA
	}
	return x509.RSA
}

// manualChain resolves the references of a manual chain, which begins with the
// issuer itself.
func (v *view) manualChain(self *Issuer, refs []string) ([]string, error) {
	if len(refs) > len(v.issuers) {
		return nil, refuse("manual_chain has %d entries, and the mount %d issuers", len(refs), len(v.issuers))
	}
	var ids []string
	for n, ref := range refs {
		i := self
		if ref != "self" {
			if i = v.findIssuer(ref); i == nil {
				return nil, refuse("manual_chain: unable to find PKI issuer for reference: %.100s", ref)
			}
		}
		switch {
		case n == 0 && i.ID != self.ID:
			return nil, refuse("manual_chain: the first entry must be the issuer itself, by id, name or \"self\"")
		case slices.Contains(ids, i.ID):
			return nil, refuse("manual_chain: issuer %s is there twice", i.ID)
		}
		ids = append(ids, i.ID)
	}
	return ids, nil
}
