package ca_test

import (
	"context"
	"log/slog"
	"math/big"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/crl"
	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/ocsp"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

const mount = "c0ffee00-0000-4000-8000-000000000000"

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// TestOCSPStatus reads what the inventory has, through what a responder asks.
func TestOCSPStatus(t *testing.T) {
	ctx := context.Background()
	s, err := pebblestore.Open(pebblestore.Config{Path: "state", FS: vfs.NewMem(), MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, err := ca.Open(ctx, ca.Config{UUID: mount, Store: s, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}, ca.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	seen := a.OCSP()
	if v := seen.View(); v != seen.View() || len(v.Issuers) != 0 || v.Settings != ocsp.DefaultSettings {
		t.Errorf("a mount without issuers: %+v", v)
	}
	_, err = a.SetCRLConfig(ctx, func(c crl.Config) (crl.Config, error) {
		return c.With(vaultapi.NewParams(map[string]any{"ocsp_disable": true, "ocsp_expiry": "1h", "ocsp_unissued": "good", "ocsp_signer": "issuer"}))
	})
	if want := (ocsp.Settings{Disabled: true, Expiry: time.Hour, UnissuedGood: true, ByIssuer: true}); err != nil || seen.View().Settings != want {
		t.Errorf("after a change of config/crl: %+v, %v", seen.View().Settings, err)
	}

	const ours, others = inventory.Group("ours"), inventory.Group("others")
	kept := inventory.Of(mount)
	update := func(do func(tx store.Tx) error) {
		t.Helper()
		if err := s.Update(ctx, do); err != nil {
			t.Fatal(err)
		}
	}
	issue := func(serial int64, group inventory.Group) {
		update(func(tx store.Tx) error {
			return kept.PutUnstored(tx, &inventory.Certificate{Serial: big.NewInt(serial), Issuer: "i", Group: group, NotAfter: now.Add(time.Hour)})
		})
	}
	revoke := func(serial int64, group inventory.Group) {
		update(func(tx store.Tx) error {
			_, err := kept.Revoke(tx, &inventory.Revocation{Serial: big.NewInt(serial), Issuer: "i", Group: group, NotAfter: now.Add(time.Hour),
				At: now, Reason: 4, InvalidSince: now.Add(-time.Hour)})
			return err
		})
	}
	for serial := int64(1); serial <= 3; serial++ {
		issue(serial, ours)
	}
	issue(4, others)
	before, err := seen.Changes(ctx, string(ours))
	if err != nil {
		t.Fatal(err)
	}
	revoke(2, ours)
	revoke(4, others)
	if after, err := seen.Changes(ctx, string(ours)); err != nil || after <= before {
		t.Errorf("a revocation changed the count from %d to %d (%v)", before, after, err)
	}
	// Of a revoked certificate that was forgotten, the revocation counts.
	revoke(3, ours)
	update(func(tx store.Tx) error { return kept.Forget(tx, big.NewInt(3)) })

	revoked := ocsp.Status{State: ocsp.Revoked, RevokedAt: now, Reason: 4, InvalidityDate: now.Add(-time.Hour)}
	for _, c := range []struct {
		group  inventory.Group
		serial int64
		want   ocsp.Status
	}{
		{ours, 1, ocsp.Status{State: ocsp.Good}},
		{ours, 2, revoked},
		{ours, 3, revoked},
		{ours, 4, ocsp.Status{}}, // the other issuer's
		{others, 4, revoked},
		{others, 1, ocsp.Status{}},
		{ours, 99, ocsp.Status{}},
	} {
		got, err := seen.Status(ctx, string(c.group), big.NewInt(c.serial).Bytes())
		if err != nil || got != c.want {
			t.Errorf("%s %d: %+v (%v), want %+v", c.group, c.serial, got, err, c.want)
		}
	}
}
