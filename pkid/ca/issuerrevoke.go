package ca

import (
	"context"
	"fmt"
	"slices"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// RevokeIssuer marks an issuer as revoked: it issues nothing any more, for good.
// It goes on to sign CRLs and OCSP answers about what it has issued. If another
// issuer of the mount has signed it, its certificate is revoked there, too, and
// will be on that one's CRL; it is never on its own. Again it changes nothing.
func (a *Authority) RevokeIssuer(ctx context.Context, ref string) (*Issuer, []string, error) {
	var warnings []string
	i, err := a.editIssuer(ctx, ref, func(v *view, tx store.Tx, next *Issuer) (err error) {
		if warnings = nil; next.RevokedAt != nil {
			return nil
		}
		now := a.cfg.Now().UTC()
		next.RevokedAt = &now
		next.Usage = slices.DeleteFunc(slices.Clone(next.Usage), func(u string) bool { return u == usageIssue })
		warnings, err = a.revokeAtParent(v, tx, next)
		return err
	})
	return i, warnings, err
}

// revokeAtParent records the revocation of an issuer's certificate with the
// issuer of this mount that has signed it.
func (a *Authority) revokeAtParent(v *view, tx store.Tx, i *Issuer) (warnings []string, err error) {
	parent := v.signedBy(i)
	if parent == nil {
		if i.roots[0] {
			return []string{"The issuer is a root, which no CRL can have: whoever trusts it must be told."}, nil
		}
		return []string{"The issuer was signed by a CA that this mount does not have, or does not have the key of: it must be revoked there, too."}, nil
	}
	earlier, err := a.inventory.Revoke(tx, &inventory.Revocation{
		Serial: i.Certificate.SerialNumber, Issuer: parent.ID, Group: parent.group, NotAfter: i.Certificate.NotAfter,
		At: *i.RevokedAt, SPKI: i.Certificate.RawSubjectPublicKeyInfo,
	})
	if err == nil && earlier != nil && earlier.Group != parent.group {
		warnings = append(warnings, fmt.Sprintf("Another certificate with the serial number %x is revoked, by issuer %s: the CRL of issuer %s does not have this one.", i.Certificate.SerialNumber, earlier.Issuer, parent.ID))
	}
	return warnings, err
}
