package inventory_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hsmpki/hsmpki/pkid/inventory"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
)

var (
	now   = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ours  = inventory.Of("c0ffee00-0000-4000-8000-000000000000")
	space = store.Of("c0ffee00-0000-4000-8000-000000000000")
)

const group inventory.Group = "00112233445566778899aabbccddeeff"

func open(t *testing.T) store.Store {
	t.Helper()
	s, err := pebblestore.Open(pebblestore.Config{Path: "state", FS: vfs.NewMem(), MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func update(t *testing.T, s store.Store, fn func(tx store.Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t *testing.T, s store.Store, fn func(r store.Reader) error) {
	t.Helper()
	if err := s.View(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

var key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)

// certificate makes one with this serial number and these names.
func certificate(t *testing.T, serial int64, notAfter time.Time, names ...string) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: now, NotAfter: notAfter, DNSNames: names}
	if len(names) > 0 {
		template.Subject = pkix.Name{CommonName: names[0]}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func put(t *testing.T, s store.Store, c *x509.Certificate) {
	t.Helper()
	update(t, s, func(tx store.Tx) error {
		return ours.Put(tx, &inventory.Certificate{DER: c.Raw, Issuer: "i", Group: group, Role: "web", Requester: "root", IssuedAt: now}, c)
	})
}

func TestPutAndGet(t *testing.T) {
	s := open(t)
	c := certificate(t, 0x0102, now.Add(time.Hour), "www.example.com", "example.com")
	put(t, s, c)
	unstored := &inventory.Certificate{Serial: big.NewInt(7), Issuer: "i", Group: group, NotAfter: now.Add(time.Minute)}
	update(t, s, func(tx store.Tx) error { return ours.PutUnstored(tx, unstored) })
	view(t, s, func(r store.Reader) error {
		got, err := ours.Get(r, c.SerialNumber)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.DER, c.Raw) || got.Issuer != "i" || got.Group != group || got.Role != "web" || got.Requester != "root" ||
			!got.IssuedAt.Equal(now) || !got.NotAfter.Equal(c.NotAfter) || got.Serial.Cmp(c.SerialNumber) != 0 {
			t.Errorf("got %+v", got)
		}
		got, err = ours.Get(r, unstored.Serial)
		if err != nil || got.DER != nil || got.Issuer != "i" || got.Group != group || !got.NotAfter.Equal(unstored.NotAfter) {
			t.Errorf("got %+v, %v", got, err)
		}
		if _, err := ours.Get(r, big.NewInt(8)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a serial number that was never given: %v", err)
		}
		if n, err := ours.Count(r); n != 1 || err != nil {
			t.Errorf("count %d, %v", n, err)
		}
		list, err := ours.Serials(r, nil, 0)
		if err != nil || len(list) != 1 || list[0].Cmp(c.SerialNumber) != 0 {
			t.Errorf("serials %v, %v", list, err)
		}
		return nil
	})
	for _, again := range []int64{0x0102, 7} {
		c := certificate(t, again, now.Add(time.Hour))
		err := s.Update(context.Background(), func(tx store.Tx) error {
			return ours.Put(tx, &inventory.Certificate{DER: c.Raw, Issuer: "i", Group: group}, c)
		})
		if !errors.Is(err, inventory.ErrSerialInUse) {
			t.Errorf("serial number %d was given twice: %v", again, err)
		}
	}
}

func TestRevoke(t *testing.T) {
	s := open(t)
	c := certificate(t, 9, now.Add(time.Hour), "a.test")
	put(t, s, c)
	first := &inventory.Revocation{Serial: c.SerialNumber, Issuer: "i", Group: group, NotAfter: c.NotAfter, At: now, Reason: 1,
		InvalidSince: now.Add(-time.Hour), SPKI: c.RawSubjectPublicKeyInfo}
	update(t, s, func(tx store.Tx) error {
		if earlier, err := ours.Revoke(tx, first); earlier != nil || err != nil {
			t.Errorf("earlier %+v, %v", earlier, err)
		}
		return nil
	})
	update(t, s, func(tx store.Tx) error {
		again := *first
		again.At, again.Reason = now.Add(time.Minute), 4
		earlier, err := ours.Revoke(tx, &again)
		if err != nil || earlier == nil || !earlier.At.Equal(now) || earlier.Reason != 1 || !earlier.InvalidSince.Equal(now.Add(-time.Hour)) {
			t.Errorf("the second revocation found %+v, %v", earlier, err)
		}
		return nil
	})
	view(t, s, func(r store.Reader) error {
		entries, since, later := count(t, r, -1), count(t, r, 0), count(t, r, 1)
		changes, err := ours.Changes(r, group)
		if entries != 1 || since != 1 || later != 0 || changes != 1 || err != nil {
			t.Errorf("entries %d, since generation 0 %d, since 1 %d, changes %d, %v", entries, since, later, changes, err)
		}
		if bad, err := inventory.Compromised(r, sha256.Sum256(c.RawSubjectPublicKeyInfo)); !bad || err != nil {
			t.Errorf("compromised %v, %v", bad, err)
		}
		return nil
	})
}

// count counts entries: all for -1, else those since a generation. What is read
// of them must be as many.
func count(t *testing.T, r store.Reader, generation int) int {
	t.Helper()
	entries := ours.ReadEntries(r, group)
	if generation >= 0 {
		entries = ours.ReadEntriesSince(r, group, uint64(generation))
	}
	n, octets, err := entries.Size()
	if err != nil {
		t.Fatal(err)
	}
	der, err := io.ReadAll(entries)
	if err != nil || int64(len(der)) != octets {
		t.Fatalf("%d octets of entries, %d were promised; %v", len(der), octets, err)
	}
	return int(n)
}

// TestGenerations: a revocation that runs beside the beginning of a generation
// is in the one that it saw, or runs again and sees the new one.
func TestGenerations(t *testing.T) {
	s := open(t)
	runs := 0
	update(t, s, func(tx store.Tx) error {
		runs++
		_, err := ours.Revoke(tx, &inventory.Revocation{Serial: big.NewInt(5), Group: group, NotAfter: now, At: now})
		if runs == 1 {
			done := make(chan error)
			go func() {
				done <- s.Update(context.Background(), func(tx store.Tx) error {
					_, err := ours.NextGeneration(tx, group)
					return err
				})
			}()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		return err
	})
	view(t, s, func(r store.Reader) error {
		if n := count(t, r, 1); n != 1 || runs != 2 {
			t.Errorf("%d entries in generation 1 after %d runs", n, runs)
		}
		return nil
	})
	update(t, s, func(tx store.Tx) error {
		next, err := ours.DropBefore(tx, group, 2, nil, 10)
		if next != nil {
			t.Errorf("not done: goes on at %q", next)
		}
		return err
	})
	view(t, s, func(r store.Reader) error {
		if count(t, r, 0) != 0 || count(t, r, -1) != 1 {
			t.Error("dropping generations took other entries, or left some")
		}
		return nil
	})
}

// TestForget: what was put and revoked leaves nothing behind but that a key is
// compromised, and the group's change.
func TestForget(t *testing.T) {
	s := open(t)
	c := certificate(t, 11, now.Add(time.Hour), "a.test", "b.test")
	put(t, s, c)
	unstored := &inventory.Certificate{Serial: big.NewInt(12), Issuer: "i", Group: group, NotAfter: now}
	update(t, s, func(tx store.Tx) error {
		if err := ours.PutUnstored(tx, unstored); err != nil {
			return err
		}
		_, err := ours.Revoke(tx, &inventory.Revocation{Serial: c.SerialNumber, Group: group, NotAfter: c.NotAfter, At: now, Reason: 1, SPKI: []byte("k")})
		return err
	})
	update(t, s, func(tx store.Tx) error {
		for _, serial := range []*big.Int{c.SerialNumber, unstored.Serial, big.NewInt(13)} {
			if err := errors.Join(ours.Forget(tx, serial), ours.ForgetRevocation(tx, serial)); err != nil {
				return err
			}
		}
		_, err := ours.DropBefore(tx, group, 1, nil, 10)
		return err
	})
	var left []string
	view(t, s, func(r store.Reader) error {
		if bad, err := inventory.Compromised(r, sha256.Sum256([]byte("k"))); !bad || err != nil {
			t.Errorf("the key is forgotten: %v", err)
		}
		start, end := space.All()
		return r.Scan(start, end, func(key, value []byte) error {
			if !bytes.Equal(value, make([]byte, 8)) { // a count of 0
				left = append(left, string(key[len(space):]))
			}
			return nil
		})
	})
	if want := []string{"count/changes/" + string(group)}; !slices.Equal(left, want) {
		t.Errorf("left: %q", left)
	}
}
