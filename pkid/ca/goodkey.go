package ca

import (
	"context"
	"crypto"
	"crypto/sha256"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// goodKey refuses a public key that no CA certificate must have.
func (a *Authority) goodKey(key crypto.PublicKey) error {
	if err := a.cfg.GoodKeys.Check(key); err != nil {
		return refuse("%s", err)
	}
	return nil
}

// compromised tells whether a certificate for a public key was revoked for key
// compromise. As long as that cannot be told, it was.
func (a *Authority) compromised(spki [sha256.Size]byte) (is bool) {
	err := a.cfg.Store.View(context.Background(), func(r store.Reader) (err error) {
		is, err = inventory.Compromised(r, spki)
		return err
	})
	if err != nil {
		a.cfg.Log.Error("whether a key is compromised cannot be told; it is refused", "error", err)
		return true
	}
	return is
}
