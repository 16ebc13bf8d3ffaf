package crl

import (
	"context"
	"errors"
	"io"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
	"github.com/hsmpki/hsmpki/wire"
)

// errOvertaken ends a build whose number was taken over: another process has
// begun one on the same state.
var errOvertaken = errors.New("another build of the CRL has begun")

// assembly is the making of one list.
type assembly struct {
	u       *Updater
	g       inventory.Group
	kind    Kind
	config  Config
	signing *Signing
	last    uint64 // number that was signed, by whomever
	list    *list
	parts   *parts // of the TBSCertList
	before  []byte // what stands before it
	after   []byte // what follows it
}

// build makes one list of a group. Only the last of its updates is one that
// anybody else sees; a crash before it leaves a gap in the numbers.
func (u *Updater) build(ctx context.Context, g inventory.Group, kind Kind) error {
	started := time.Now()
	a := &assembly{u: u, g: g, kind: kind, config: u.cfg.Source.CRLConfig(), list: &list{}}

	// Step 1: who signs it, before anything is written.
	var err error
	if a.signing, err = u.cfg.Source.Signing(ctx, g); err != nil {
		return err
	}
	if err := u.cfg.Store.View(ctx, a.fits); err != nil {
		return err
	}
	if a.signing.LastNumber != nil {
		if a.last, err = a.signing.LastNumber(ctx); err != nil {
			return err
		}
	}

	// Step 2: its number, and for a complete list a new generation. Whoever
	// revokes after that is in the new one; all others are in the state that is
	// read next.
	if err := u.cfg.Store.Update(ctx, a.begin); err != nil {
		return err
	}

	// Step 3: assemble and sign. Parts but the first and the last are stored on
	// the way.
	a.parts = &parts{store: u.cfg.Store, ctx: ctx, key: a.key, ours: a.ours}
	if err := u.cfg.Store.View(ctx, a.sign); err != nil {
		if errors.Is(err, wire.Pending) {
			err = errors.Join(err, u.cfg.Store.Update(ctx, a.hold))
		}
		return err
	}

	// Step 4: it is the group's list now.
	if err := u.cfg.Store.Update(ctx, a.finish); err != nil {
		return err
	}
	u.cfg.Log.Info("made a CRL", "group", g, "kind", kind, "number", a.list.Number, "entries", a.list.Entries, "octets", a.list.Size,
		"next_update", a.list.NextUpdate, "took", time.Since(started).Round(time.Millisecond))
	return nil
}

// fits refuses a list with more entries than it may have.
func (a *assembly) fits(r store.Reader) error {
	if a.config.MaxEntries < 0 || a.config.Disable {
		return nil
	}
	n, err := a.u.inventory.EntryCount(r, a.g)
	if err == nil && n > int64(a.config.MaxEntries) {
		err = vaultapi.BadRequest("%d certificates of the issuer are revoked, max_crl_entries is %d: no CRL is made (config/crl)", n, a.config.MaxEntries)
	}
	return err
}

// begin takes the number, and deletes what a build has left that came to
// nothing.
func (a *assembly) begin(tx store.Tx) error {
	rec, err := a.u.record(tx, a.g)
	if err != nil {
		return err
	}
	if lost := rec.Building; lost != nil {
		var keys [][]byte
		start, end := a.u.space.CRLParts(string(a.g), string(lost.Kind), lost.Number)
		err := tx.Scan(start, end, func(key, _ []byte) error {
			keys = append(keys, append([]byte(nil), key...))
			return nil
		})
		for _, key := range keys {
			err = errors.Join(err, tx.Delete(key))
		}
		if err != nil {
			return err
		}
	}
	changes, err := a.u.inventory.Changes(tx, a.g)
	if err != nil {
		return err
	}
	if waits := rec.waiting(a.kind, changes, a.u.cfg.Now()); waits != nil && waits.Disabled == a.config.Disable {
		*a.list = *waits
		return nil
	}
	*a.list = list{Disabled: a.config.Disable}
	if a.kind == Complete {
		if a.list.Generation, err = a.u.inventory.NextGeneration(tx, a.g); err != nil {
			return err
		}
	} else {
		if rec.Complete == nil {
			return errors.New("a delta CRL has no complete CRL to be based on")
		}
		a.list.Base, a.list.Generation = rec.Complete.Number, rec.Complete.Generation
	}
	rec.Number = max(rec.Number, a.last) + 1
	a.list.Number = rec.Number
	rec.Building = &building{Kind: a.kind, Number: rec.Number}
	return a.u.putRecord(tx, a.g, rec)
}

// hold keeps what the list is made of, for the time when it is approved.
func (a *assembly) hold(tx store.Tx) error {
	rec, err := a.ours(tx)
	if err != nil {
		return err
	}
	rec.Building.Waits = a.list
	return a.u.putRecord(tx, a.g, rec)
}

// sign assembles the list from one state of the store.
func (a *assembly) sign(r store.Reader) error {
	octets, err := a.cover(r)
	if err != nil {
		return err
	}
	if a.list.ThisUpdate.IsZero() { // else it waits for approval
		a.list.ThisUpdate = a.u.cfg.Now().UTC().Truncate(time.Second)
		a.list.NextUpdate = a.list.ThisUpdate.Add(a.config.Expiry.Duration)
	}
	request := &issuance.RevocationList{
		Number: new(big.Int).SetUint64(a.list.Number), ThisUpdate: a.list.ThisUpdate, NextUpdate: a.list.NextUpdate, Algorithm: a.signing.Algorithm,
	}
	if a.kind == Delta {
		request.Base = new(big.Int).SetUint64(a.list.Base)
	} else {
		request.FreshestCRL = a.signing.Issuer.URLs().DeltaCRLDistributionPoints
	}
	prepared, err := a.signing.Issuer.PrepareRevocationList(request, octets)
	if err != nil {
		return err
	}
	if err := a.look(r, request, octets); err != nil {
		return err
	}
	a.before, a.after, err = prepared.Sign(a.signing.Key, a.entries(r), a.parts)
	return err
}

// lookedOctets bounds the entries with which a list is looked at before it is
// signed.
const lookedOctets = 48 << 10

// look shows the list, whose entries have that many octets, to whoever wants to
// see it, with the first of them.
func (a *assembly) look(r store.Reader, request *issuance.RevocationList, octets int64) error {
	if a.signing.Look == nil {
		return nil
	}
	some, err := io.ReadAll(io.LimitReader(a.entries(r), min(octets, lookedOctets)))
	if err != nil {
		return err
	}
	var whole int // octets of whole entries
	for rest := cryptobyte.String(some); ; {
		var entry cryptobyte.String
		if !rest.ReadASN1Element(&entry, asn1.SEQUENCE) {
			break
		}
		whole += len(entry)
	}
	trial, err := a.signing.Issuer.PrepareRevocationList(request, int64(whole))
	if err != nil {
		return err
	}
	return trial.Look(some[:whole], a.signing.Look)
}

// cover notes what the list covers, and gives the octets of its entries.
func (a *assembly) cover(r store.Reader) (octets int64, err error) {
	if a.list.Changes, err = a.u.inventory.Changes(r, a.g); err != nil || a.list.Disabled {
		return 0, err
	}
	a.list.Entries, octets, err = a.entries(r).Size()
	return octets, err
}

// entries reads the list's entries, of which one that is disabled takes none.
func (a *assembly) entries(r store.Reader) *inventory.EntryReader {
	if a.kind == Delta {
		return a.u.inventory.ReadEntriesSince(r, a.g, a.list.Generation)
	}
	return a.u.inventory.ReadEntries(r, a.g)
}

// finish puts the list in the place of the one before.
func (a *assembly) finish(tx store.Tx) error {
	rec, err := a.ours(tx)
	if err != nil {
		return err
	}
	a.list.Before, a.list.Parts = int64(len(a.before)), a.parts.count()
	a.list.Size = a.list.Before + a.parts.size + int64(len(a.after))
	a.list.StoredAt = a.u.cfg.Now().UTC()
	if err := a.parts.finish(tx, a.before, a.after); err != nil {
		return err
	}
	if old := rec.of(a.kind); old != nil {
		for n := range old.Parts {
			if err := tx.Delete(a.u.space.CRLData(string(a.g), string(a.kind), old.Number, n)); err != nil {
				return err
			}
		}
	}
	rec.set(a.kind, a.list)
	rec.Building = nil
	return a.u.putRecord(tx, a.g, rec)
}

// ours gives the record if the build is still the one under way.
func (a *assembly) ours(r store.Reader) (*record, error) {
	rec, err := a.u.record(r, a.g)
	if err == nil && (rec.Building == nil || rec.Building.Number != a.list.Number) {
		err = errOvertaken
	}
	return rec, err
}

func (a *assembly) key(part uint32) []byte {
	return a.u.space.CRLData(string(a.g), string(a.kind), a.list.Number, part)
}
