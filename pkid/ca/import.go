package ca

import (
	"bytes"
	"context"
	"fmt"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// ImportRequest is what a caller of issuers/import/{cert,bundle}, config/ca and
// intermediate/set-signed says.
type ImportRequest struct {
	PEM string
	// WithKeys is for paths that take private keys in Vault. Here a key is left
	// out with a warning, where on other paths the whole is refused.
	WithKeys  bool
	RequestID string
}

// Imported are ids: of what is new in the mount, of what was there, and for each
// issuer of the bundle that of its key, "" if the mount does not have it.
type Imported struct {
	Issuers, Keys                 []string
	ExistingIssuers, ExistingKeys []string
	Mapping                       map[string]string
	Warnings                      []string
}

const keyRefused = "A private key of the bundle was not imported: CA keys are made in the HSM and stay there, and one that came as a file has been elsewhere. " +
	"An issuer whose key is a managed key that this mount may use is linked to it by itself."

// Import adds CA certificates as issuers. One that is there stays as it is, but
// gets its key if the mount has that now.
func (a *Authority) Import(ctx context.Context, req *ImportRequest) (*Imported, error) {
	// Step 1: what is in the bundle, and whether it may come in.
	b, err := parseBundle(req.PEM)
	if err != nil {
		return nil, err
	}
	if b.privateKeys > 0 && !req.WithKeys {
		return nil, refuse("private keys found in the PEM bundle but not allowed by the path; use /issuers/import/bundle")
	}
	if len(b.certificates) == 0 {
		if b.privateKeys > 0 {
			return nil, refuse("there is no certificate in the bundle. %s", keyRefused)
		}
		return nil, refuse("there is no certificate in the bundle")
	}
	if err := a.goodKeys(b); err != nil {
		return nil, err
	}
	var common []string
	if b.privateKeys > 0 {
		common = append(common, keyRefused)
	}

	// Step 2: the keys of those that have none in this mount.
	keys, more := a.managedKeysOf(ctx, b.certificates)
	common = append(common, more...)

	// Step 3: all of it, in one update.
	var out *Imported
	err = a.change(ctx, func(v *view, tx store.Tx) error {
		out = &Imported{Mapping: map[string]string{}, Warnings: append([]string(nil), common...)}
		return a.addImported(v, tx, b, keys, out)
	})
	if err != nil {
		return nil, err
	}

	// Step 4: CRLs of those that can sign them.
	for _, id := range out.Issuers {
		if i := a.view.Load().issuers[id]; i != nil {
			out.Warnings = append(out.Warnings, a.firstCRL(ctx, i)...)
		}
	}
	return out, nil
}

// goodKeys refuses a bundle with a weak key in it, be it of an issuer that is to
// sign nothing here: whoever has the key can be in its chains. What is an issuer
// already is not asked about again.
func (a *Authority) goodKeys(b *bundle) error {
	v := a.view.Load()
	for _, cert := range b.certificates {
		if v.issuerOf(cert.Raw) != nil {
			continue
		}
		if err := a.cfg.GoodKeys.Check(cert.PublicKey); err != nil {
			return refuse("Refusing to import a CA certificate (%s): %s", cert.Subject, err)
		}
	}
	return nil
}

func (a *Authority) addImported(v *view, tx store.Tx, b *bundle, found []*Key, out *Imported) error {
	before := len(v.keys)
	for _, key := range found {
		added, err := a.addKey(v, tx, key)
		if err != nil {
			return err
		}
		if len(v.keys) > before {
			before = len(v.keys)
			out.Keys = append(out.Keys, added.ID)
		}
	}
	var withKey []string
	for _, cert := range b.certificates {
		issuer := v.issuerOf(cert.Raw)
		if issuer != nil {
			out.ExistingIssuers = append(out.ExistingIssuers, issuer.ID)
		} else {
			made, warnings, err := newIssuer(newID(), cert.Raw)
			if err != nil {
				return err
			}
			issuer, out.Warnings = made, append(out.Warnings, warnings...)
			out.Issuers = append(out.Issuers, issuer.ID)
			if key := v.keyFor(issuer); key != nil {
				if err := issuer.take(key); err != nil {
					return err
				}
				withKey = append(withKey, issuer.ID)
			}
			if err := a.putIssuer(v, tx, issuer); err != nil {
				return err
			}
		}
		out.Mapping[issuer.ID] = issuer.KeyID
		out.noteKey(issuer.KeyID)
	}
	return a.defaultAfterImport(v, tx, withKey, out)
}

// noteKey lists the key of an issuer once, as new or as existing.
func (o *Imported) noteKey(id string) {
	for _, list := range [][]string{o.Keys, o.ExistingKeys} {
		for _, known := range list {
			if known == id {
				return
			}
		}
	}
	if id != "" {
		o.ExistingKeys = append(o.ExistingKeys, id)
	}
}

// defaultAfterImport sets the default issuer: the first with a key where there
// is none, and, where the default follows the latest, the one new issuer with a
// key.
func (a *Authority) defaultAfterImport(v *view, tx store.Tx, withKey []string, out *Imported) error {
	switch {
	case len(withKey) == 0:
		return nil
	case v.settings.DefaultIssuer == "":
		v.settings.DefaultIssuer = withKey[0]
	case !v.settings.DefaultFollowsLatestIssuer:
		return nil
	case len(withKey) > 1:
		out.Warnings = append(out.Warnings, fmt.Sprintf("Default issuer left unchanged: could not select new issuer automatically, as %d of the imported issuers have a key.", len(withKey)))
		return nil
	default:
		v.settings.DefaultIssuer = withKey[0]
	}
	return v.putSettings(tx, a.space)
}

// issuerOf finds an issuer by its certificate.
func (v *view) issuerOf(der []byte) *Issuer {
	for _, i := range v.issuers {
		if bytes.Equal(i.DER, der) {
			return i
		}
	}
	return nil
}

// keyFor finds the key of an issuer's certificate.
func (v *view) keyFor(i *Issuer) *Key {
	for _, k := range v.keys {
		if i.holds(k) {
			return k
		}
	}
	return nil
}
