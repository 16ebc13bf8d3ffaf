package ca

import (
	"context"

	"github.com/hsmpki/hsmpki/pkid/crl"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// CRLConfig is the mount's config/crl, which is about OCSP too.
func (a *Authority) CRLConfig() crl.Config { return a.view.Load().settings.CRL }

// SetCRLConfig changes config/crl: change gets what is in force and gives what
// is to be.
func (a *Authority) SetCRLConfig(ctx context.Context, change func(crl.Config) (crl.Config, error)) (crl.Config, error) {
	var now crl.Config
	err := a.change(ctx, func(v *view, tx store.Tx) error {
		var err error
		if now, err = change(v.settings.CRL); err != nil {
			return err
		}
		v.settings.CRL = now
		return v.putSettings(tx, a.space)
	})
	if err == nil {
		a.crls.Wake()
	}
	return now, err
}
