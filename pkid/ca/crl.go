package ca

import (
	"context"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"time"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// A CRL is good for crlLife. When it is read in the last crlGrace of that, it is
// renewed, so that it does not lapse because nobody revoked anything.
const (
	crlLife  = 72 * time.Hour
	crlGrace = 12 * time.Hour
)

// crlRecord is what is stored of a CRL.
type crlRecord struct {
	Number     *big.Int  `json:"number"`
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update"`
	DER        []byte    `json:"crl"`
}

// signCRL makes an issuer's complete CRL. Nothing can be revoked yet, so it has
// no entries.
func (a *Authority) signCRL(ctx context.Context, i *Issuer, k *Key, number *big.Int, now time.Time, use string) (
	list *crlRecord, warnings []string, err error) {
	signer, err := a.signer(ctx, k, a.cfg.UUID+" "+use)
	if err != nil {
		return nil, nil, err
	}
	now = now.UTC().Truncate(time.Second)
	list = &crlRecord{Number: number, ThisUpdate: now, NextUpdate: now.Add(crlLife)}
	list.DER, err = i.issuance.IssueRevocationList(&issuance.RevocationList{
		Number: number, ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate, Algorithm: i.crlAlgorithmID,
		Look: func(tbs, dummy []byte) (err error) {
			warnings, err = a.LintCRL(i.ID, tbs, dummy)
			return err
		},
	}, signer)
	if err != nil {
		return nil, nil, err
	}
	return list, warnings, nil
}

// CRL gives an issuer's CRL (DER) and when it was made, nil if there is none
// because the issuer may not sign CRLs. If it cannot be renewed, the old one is
// good as long as it says.
func (a *Authority) CRL(ctx context.Context, ref, requestID string) (der []byte, made time.Time, err error) {
	i, err := a.Issuer(ref)
	if err != nil {
		return nil, time.Time{}, err
	}
	list, err := a.storedCRL(ctx, i)
	if err != nil {
		return nil, time.Time{}, err
	}
	if list == nil || !a.cfg.Now().Before(list.NextUpdate.Add(-crlGrace)) {
		renewed, renewErr := a.renewCRL(ctx, i, requestID)
		switch {
		case renewErr == nil:
			list = renewed
		case list == nil || a.cfg.Now().After(list.NextUpdate):
			return nil, time.Time{}, renewErr
		default:
			a.cfg.Log.Error("a CRL could not be renewed", "issuer", i.ID, "next_update", list.NextUpdate, "error", renewErr)
		}
	}
	if list == nil {
		return nil, time.Time{}, nil
	}
	return list.DER, list.ThisUpdate, nil
}

func (a *Authority) storedCRL(ctx context.Context, i *Issuer) (list *crlRecord, err error) {
	err = a.cfg.Store.View(ctx, func(r store.Reader) error {
		list, err = readCRL(r, a.space, i.group)
		return err
	})
	return list, err
}

// readCRL reads a group's CRL, nil if there is none.
func readCRL(r store.Reader, space store.Keyspace, group inventory.Group) (*crlRecord, error) {
	raw, err := r.Get(space.CRL(string(group)))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list := new(crlRecord)
	return list, json.Unmarshal(raw, list)
}

// renewCRL makes the next CRL. One is made at a time; whoever waited takes what
// was made meanwhile. The number is durable together with the CRL: one that was
// signed and not stored was seen by nobody.
func (a *Authority) renewCRL(ctx context.Context, i *Issuer, requestID string) (*crlRecord, error) {
	if !slices.Contains(i.Usage, "crl-signing") {
		return nil, nil
	}
	a.rebuilding.Lock()
	defer a.rebuilding.Unlock()
	list, err := a.storedCRL(ctx, i)
	if err != nil {
		return nil, err
	}
	number := big.NewInt(1)
	if list != nil {
		if a.cfg.Now().Before(list.NextUpdate.Add(-crlGrace)) {
			return list, nil
		}
		number.Add(list.Number, number)
	}
	k := a.view.Load().keys[i.KeyID]
	if k == nil {
		return nil, refuse("unable to fetch corresponding key for issuer %s", i.ID)
	}
	if list, _, err = a.signCRL(ctx, i, k, number, a.cfg.Now(), requestID); err != nil {
		return nil, err
	}
	return list, a.cfg.Store.Update(ctx, func(tx store.Tx) error { return putJSON(tx, a.space.CRL(string(i.group)), list) })
}
