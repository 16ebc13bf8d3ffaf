package tidy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/pkid/tidy"
)

const (
	mount                 = "c0ffee00-0000-4000-8000-000000000000"
	group inventory.Group = "00112233445566778899aabbccddeeff"
)

var (
	now    = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ours   = inventory.Of(mount)
	key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
)

// authority is a mount with two issuers, of which one is gone.
type authority struct {
	published time.Time
	dropped   []time.Time
}

func (a *authority) DropExpiredIssuers(_ context.Context, before time.Time) (int, error) {
	a.dropped = append(a.dropped, before)
	return 2, nil
}

func (a *authority) IssuerIn(g inventory.Group, id string) (string, bool) {
	if g != group {
		return "", false
	}
	return "here", id == "here"
}

func (a *authority) Published(store.Reader, inventory.Group) (time.Time, error) {
	return a.published, nil
}

func openStore(t *testing.T, fs vfs.FS) store.Store {
	t.Helper()
	s, err := pebblestore.Open(pebblestore.Config{Path: "state", FS: fs, MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openTidier(t *testing.T, s store.Store, ca *authority) *tidy.Tidier {
	t.Helper()
	d, err := tidy.Open(context.Background(), tidy.Config{UUID: mount, Store: s, CA: ca, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fill stores n certificates: one in three not stored, one in two revoked, and
// one in five not expired.
func fill(t *testing.T, s store.Store, n int) {
	t.Helper()
	for serial := range n {
		notAfter := now.Add(-1000*time.Hour - time.Duration(serial)*time.Minute)
		if serial%5 == 4 {
			notAfter = now.Add(-time.Hour) // within the safety buffer
		}
		c := &inventory.Certificate{Serial: big.NewInt(int64(serial + 1)), Issuer: []string{"here", "gone"}[serial%2], Group: group, NotAfter: notAfter}
		err := s.Update(context.Background(), func(tx store.Tx) error {
			if serial%3 == 2 {
				if err := ours.PutUnstored(tx, c); err != nil {
					return err
				}
			} else {
				template := &x509.Certificate{SerialNumber: c.Serial, NotBefore: notAfter.Add(-time.Hour), NotAfter: notAfter, DNSNames: []string{"a.test"}}
				der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
				if err != nil {
					return err
				}
				parsed, err := x509.ParseCertificate(der)
				if err != nil {
					return err
				}
				c.DER = der
				if err := ours.Put(tx, c, parsed); err != nil {
					return err
				}
			}
			if serial%2 == 0 {
				_, err := ours.Revoke(tx, &inventory.Revocation{Serial: c.Serial, Issuer: c.Issuer, Group: group, NotAfter: notAfter, At: notAfter.Add(-time.Minute)})
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func wait(t *testing.T, d *tidy.Tidier) tidy.Status {
	t.Helper()
	for range 2000 {
		if s := d.Status(); !s.Going() {
			return s
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("the tidy does not end")
	return tidy.Status{}
}

// left are the serial numbers of what the store still knows.
func left(t *testing.T, s store.Store, n int) (certificates, revocations []int) {
	t.Helper()
	err := s.View(context.Background(), func(r store.Reader) error {
		for serial := 1; serial <= n; serial++ {
			if _, err := ours.Get(r, big.NewInt(int64(serial))); err == nil {
				certificates = append(certificates, serial)
			} else if !errors.Is(err, store.ErrNotFound) {
				return err
			}
			if _, err := ours.Revocation(r, big.NewInt(int64(serial))); err == nil {
				revocations = append(revocations, serial)
			} else if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return certificates, revocations
}

func params() tidy.Params {
	p := tidy.Defaults()
	p.CertStore, p.RevokedCerts, p.PageSize = true, true, 7
	return p
}

// TestCrash cuts the power in the middle of a run, again and again: what was
// deleted was counted, once, and at the end all is gone that had to go.
func TestCrash(t *testing.T) {
	const n = 100
	fs := vfs.NewCrashableMem()
	s := openStore(t, fs)
	fill(t, s, n)
	ca := &authority{published: now}
	d := openTidier(t, s, ca)
	p := params()
	p.Pause = 10 * time.Millisecond
	if err := d.Start(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	if state := d.Status().State; state != tidy.Running {
		t.Errorf("just started, it is %s", state)
	}
	if err := d.Start(context.Background(), p); !errors.Is(err, tidy.ErrRunning) {
		t.Errorf("a second run: %v", err)
	}
	for range 4 {
		time.Sleep(25 * time.Millisecond)
		crashed := fs.CrashClone(vfs.CrashCloneCfg{})
		d.Close()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		fs = crashed
		s = openStore(t, fs)
		d = openTidier(t, s, ca)
	}
	status := wait(t, d)
	if status.State != tidy.Finished || status.CertsDeleted != 80 || status.RevocationsDeleted != 40 {
		t.Errorf("status %+v", status)
	}
	certificates, revocations := left(t, s, n)
	if len(certificates) != 20 || len(revocations) != 10 {
		t.Errorf("left: %v, revoked %v", certificates, revocations)
	}
	stored, revoked, err := d.Counts(context.Background())
	want := int64(0)
	for _, serial := range certificates {
		if (serial-1)%3 != 2 {
			want++
		}
	}
	if err != nil || stored != want || revoked != 10 {
		t.Errorf("counts: %d of %d certificates, %d revocations, %v", stored, want, revoked, err)
	}
	d.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestPublished: a revocation stays until a CRL made after the certificate's
// end has had it.
func TestPublished(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	defer s.Close()
	fill(t, s, 20)
	ca := &authority{published: now.Add(-2000 * time.Hour)}
	d := openTidier(t, s, ca)
	defer d.Close()
	if err := d.Start(context.Background(), params()); err != nil {
		t.Fatal(err)
	}
	if status := wait(t, d); status.State != tidy.Finished || status.RevocationsDeleted != 0 || status.CertsDeleted != 16 {
		t.Errorf("status %+v", status)
	}
}

func TestIssuers(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	defer s.Close()
	fill(t, s, 20)
	ca := &authority{}
	d := openTidier(t, s, ca)
	defer d.Close()
	p := tidy.Defaults()
	p.IssuerAssociations, p.ExpiredIssuers, p.PageSize = true, true, 3
	if err := d.Start(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	// Every second is revoked: those with the issuer that is there.
	if status := wait(t, d); status.State != tidy.Finished || status.IssuersMissing != 0 || status.IssuersDeleted != 2 || status.CertsDeleted != 0 {
		t.Errorf("status %+v", status)
	}
	if len(ca.dropped) != 1 || !ca.dropped[0].Equal(now.Add(-8760*time.Hour)) {
		t.Errorf("dropped before %v", ca.dropped)
	}
	err := s.Update(context.Background(), func(tx store.Tx) error {
		_, err := ours.Revoke(tx, &inventory.Revocation{Serial: big.NewInt(99), Issuer: "gone", Group: group, NotAfter: now, At: now, Reason: 3})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	if status := wait(t, d); status.IssuersMissing != 1 {
		t.Errorf("status %+v", status)
	}
	err = s.View(context.Background(), func(r store.Reader) error {
		v, err := ours.Revocation(r, big.NewInt(99))
		if err == nil && (v.Issuer != "here" || v.Reason != 3 || !v.At.Equal(now)) {
			t.Errorf("%+v", v)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCancel(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	defer s.Close()
	fill(t, s, 50)
	d := openTidier(t, s, &authority{})
	defer d.Close()
	if d.Cancel() {
		t.Error("cancelled what does not run")
	}
	p := params()
	p.PageSize, p.Pause = 1, time.Minute
	if err := d.Start(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	if !d.Cancel() {
		t.Error("not cancelled")
	}
	if status := wait(t, d); status.State != tidy.Cancelled || status.CertsDeleted > 1 {
		t.Errorf("status %+v", status)
	}
}

// TestAuto: runs begin by themselves, after a start and when the interval has
// passed, and not before.
func TestAuto(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	defer s.Close()
	fill(t, s, 10)
	var mu sync.Mutex
	clock := now
	d, err := tidy.Open(context.Background(), tidy.Config{UUID: mount, Store: s, CA: &authority{}, Log: slog.New(slog.DiscardHandler), Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return clock
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.SetAuto(context.Background(), func(a *tidy.Auto) { a.Enabled = true }); err == nil {
		t.Error("enabled with nothing to do")
	}
	set := func(a *tidy.Auto) {
		a.Enabled, a.Params.CertStore, a.MinStartupBackoff, a.MaxStartupBackoff = true, true, time.Hour, time.Hour
	}
	if _, err := d.SetAuto(context.Background(), set); err != nil {
		t.Fatal(err)
	}
	if state := d.Status().State; state != tidy.Inactive {
		t.Errorf("it is %s before the backoff has passed", state)
	}
	mu.Lock()
	clock = clock.Add(time.Hour)
	mu.Unlock()
	if _, err := d.SetAuto(context.Background(), set); err != nil { // has the schedule looked at
		t.Fatal(err)
	}
	for range 1000 {
		if d.Status().State == tidy.Finished {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if status := d.Status(); status.State != tidy.Finished || !status.Auto || status.LastAutoTidyFinished.IsZero() || status.CertsDeleted == 0 {
		t.Errorf("status %+v", status)
	}
}

func TestCheck(t *testing.T) {
	for name, change := range map[string]func(p *tidy.Params){
		"safety_buffer":              func(p *tidy.Params) { p.SafetyBuffer = 0 },
		"issuer_safety_buffer":       func(p *tidy.Params) { p.IssuerSafetyBuffer = -time.Hour },
		"acme_account_safety_buffer": func(p *tidy.Params) { p.ACMESafetyBuffer = time.Millisecond },
		"pause_duration":             func(p *tidy.Params) { p.Pause = -1 },
		"page_size":                  func(p *tidy.Params) { p.PageSize = 0 },
	} {
		p := tidy.Defaults()
		change(&p)
		if err := p.Check(); err == nil || len(err.Error()) < len(name) || err.Error()[:len(name)] != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}
