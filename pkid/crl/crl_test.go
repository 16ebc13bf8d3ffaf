package crl_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/crl"
)

// TestLatest: without auto_rebuild a list is made when what it has to say has
// changed, and only then.
func TestLatest(t *testing.T) {
	a := open(t)
	first := a.mustList(crl.Complete)
	if first.Number.Int64() != 1 || len(first.RevokedCertificateEntries) != 0 || !first.NextUpdate.Equal(epoch.Add(72*time.Hour)) {
		t.Errorf("the first list: number %v, %d entries, until %v", first.Number, len(first.RevokedCertificateEntries), first.NextUpdate)
	}
	if !bytes.Equal(first.AuthorityKeyId, root.SubjectKeyId) || extension(first, "2.5.29.46") == nil || extension(first, "2.5.29.27") != nil {
		t.Errorf("extensions %v", first.Extensions)
	}
	a.mustRevoke(5, 3)
	second := a.mustList(crl.Complete)
	if second.Number.Int64() != 2 || !has(second, 3, 5) {
		t.Errorf("number %v, entries %v", second.Number, second.RevokedCertificateEntries)
	}
	if again := a.mustList(crl.Complete); again.Number.Int64() != 2 {
		t.Errorf("number %v although nothing has changed", again.Number)
	}
	if _, err := a.list(crl.Delta); !errors.Is(err, crl.ErrNone) {
		t.Errorf("a delta list although there are none: %v", err)
	}
	if err := a.Rotate(context.Background(), group, crl.Complete); err != nil {
		t.Fatal(err)
	}
	if third := a.mustList(crl.Complete); third.Number.Int64() != 3 || a.parts() != 1 {
		t.Errorf("number %v, %d parts, after rotating", third.Number, a.parts())
	}
}

func extension(list *x509.RevocationList, id string) []byte {
	for _, e := range list.Extensions {
		if e.Id.String() == id {
			return e.Value
		}
	}
	return nil
}

// base is the number of the complete list that a delta list names.
func base(t *testing.T, list *x509.RevocationList) int64 {
	t.Helper()
	n := new(big.Int)
	if rest, err := asn1.Unmarshal(extension(list, "2.5.29.27"), &n); err != nil || len(rest) > 0 {
		t.Fatalf("delta CRL indicator: %v", err)
	}
	return n.Int64()
}

// TestDelta: a delta list has what was revoked since the complete list that it
// names, is made from time to time, and is empty after a complete one.
func TestDelta(t *testing.T) {
	a := open(t)
	a.configure(map[string]any{"auto_rebuild": true, "enable_delta": true})
	a.mustRevoke(1)
	complete := a.mustList(crl.Complete)
	delta := a.mustList(crl.Delta)
	if base(t, delta) != complete.Number.Int64() || len(delta.RevokedCertificateEntries) != 0 || delta.Number.Cmp(complete.Number) <= 0 {
		t.Errorf("delta %v on %d, complete %v", delta.Number, base(t, delta), complete.Number)
	}
	a.mustRevoke(2)
	if again := a.mustList(crl.Complete); again.Number.Cmp(complete.Number) != 0 {
		t.Errorf("with auto_rebuild a revocation alone had the list made")
	}
	a.Tend(context.Background())
	if again := a.mustList(crl.Delta); again.Number.Cmp(delta.Number) != 0 {
		t.Error("a delta list before its time")
	}
	a.later(15 * time.Minute)
	a.Tend(context.Background())
	next := a.mustList(crl.Delta)
	if base(t, next) != complete.Number.Int64() || !has(next, 2) || has(next, 1) {
		t.Errorf("delta on %d has %v", base(t, next), next.RevokedCertificateEntries)
	}
	a.later(15 * time.Minute)
	a.Tend(context.Background())
	if again := a.mustList(crl.Delta); again.Number.Cmp(next.Number) != 0 {
		t.Error("another delta list although nothing was new")
	}
	if err := a.Rotate(context.Background(), group, crl.Complete); err != nil {
		t.Fatal(err)
	}
	complete, delta = a.mustList(crl.Complete), a.mustList(crl.Delta)
	if !has(complete, 1, 2) || base(t, delta) != complete.Number.Int64() || len(delta.RevokedCertificateEntries) != 0 {
		t.Errorf("after rotating: complete %v, delta on %d with %v", complete.RevokedCertificateEntries, base(t, delta), delta.RevokedCertificateEntries)
	}
	a.mustRevoke(3)
	if err := a.Rotate(context.Background(), group, crl.Delta); err != nil {
		t.Fatal(err)
	}
	if delta = a.mustList(crl.Delta); !has(delta, 3) || has(delta, 2) {
		t.Errorf("after rotating the delta: %v", delta.RevokedCertificateEntries)
	}
}

// TestRenewal: no list lapses because nobody revoked.
func TestRenewal(t *testing.T) {
	a := open(t)
	ctx := context.Background()
	a.Tend(ctx)
	number := func() int64 { return a.mustList(crl.Complete).Number.Int64() }
	for _, step := range []struct {
		later  time.Duration
		fields map[string]any
		read   bool // by a reader, else in the background
		want   int64
	}{
		{0, nil, false, 1},
		{47 * time.Hour, nil, false, 1},
		{time.Hour, nil, false, 2}, // a third of 72 h is left
		{48 * time.Hour, nil, true, 3},
		{0, map[string]any{"auto_rebuild": true, "auto_rebuild_grace_period": "1h"}, false, 3},
		{70 * time.Hour, nil, false, 3},
		{time.Hour, nil, false, 4},
		{time.Hour, map[string]any{"expiry": "2h"}, false, 5}, // it was made to last for longer
		{0, map[string]any{"disable": true}, false, 6},
		{0, map[string]any{"disable": false}, true, 7},
		{1000 * time.Hour, nil, true, 8},
		{0, map[string]any{"auto_rebuild_grace_period": "0s"}, false, 8},
		{2*time.Hour - 2*time.Minute, nil, false, 8},
		{time.Minute, nil, false, 9}, // making it takes time, too
	} {
		a.later(step.later)
		if step.fields != nil {
			a.configure(step.fields)
		}
		if !step.read {
			a.Tend(ctx)
		}
		if got := number(); got != step.want {
			t.Errorf("%+v: number %d", step, got)
		}
	}
}

// TestDisabled: where CRLs are disabled they are signed, and empty.
func TestDisabled(t *testing.T) {
	a := open(t)
	a.mustRevoke(1)
	a.configure(map[string]any{"disable": true})
	if list := a.mustList(crl.Complete); len(list.RevokedCertificateEntries) != 0 {
		t.Errorf("%d entries", len(list.RevokedCertificateEntries))
	}
	a.configure(map[string]any{"disable": false})
	if list := a.mustList(crl.Complete); !has(list, 1) {
		t.Error("the entry does not come back")
	}
}

// TestFailures: while no list can be made the one before is served as long as it
// is good, readers do not have the key asked again and again, and no number is
// used twice.
func TestFailures(t *testing.T) {
	a := open(t)
	a.mustList(crl.Complete)
	a.mustRevoke(1)
	away := errors.New("the key is away")
	a.change(func() { a.sign = func(io.Reader) error { return away } })
	for range 10 {
		if list := a.mustList(crl.Complete); list.Number.Int64() != 1 {
			t.Errorf("number %v was made without a key", list.Number)
		}
	}
	a.mu.Lock()
	if a.signed != 2 {
		t.Errorf("%d signatures were asked for", a.signed)
	}
	a.mu.Unlock()
	a.later(73 * time.Hour)
	if _, err := a.list(crl.Complete); !errors.Is(err, away) {
		t.Errorf("a list that has lapsed: %v", err)
	}
	a.change(func() { a.sign = nil })
	a.later(time.Minute)
	if list := a.mustList(crl.Complete); list.Number.Int64() != 4 || !has(list, 1) || a.parts() != 1 {
		t.Errorf("number %v, want 4 as two were lost; %d parts", list.Number, a.parts())
	}
	a.configure(map[string]any{"max_crl_entries": 1})
	a.mustRevoke(2)
	a.later(time.Minute)
	if list := a.mustList(crl.Complete); list.Number.Int64() != 4 {
		t.Errorf("a list of two entries was made, where one is allowed")
	}
	if err := a.Rotate(context.Background(), group, crl.Complete); err == nil || !strings.Contains(err.Error(), "max_crl_entries is 1") {
		t.Errorf("rotating: %v", err)
	}
}

// TestLarge makes lists of several parts, around where a part ends, and one that
// comes to nothing halfway.
func TestLarge(t *testing.T) {
	a := open(t)
	a.configure(map[string]any{"max_crl_entries": -1})
	serials := make([]int64, 40_000) // 2.5 MiB
	for i := range serials {
		serials[i] = large + int64(i)
	}
	for from := 0; from < len(serials); from += 10_000 {
		a.mustRevoke(serials[from : from+10_000]...)
		list := a.mustList(crl.Complete)
		if !has(list, serials[:from+10_000]...) || len(list.RevokedCertificateEntries) != from+10_000 {
			t.Fatalf("%d entries, want %d", len(list.RevokedCertificateEntries), from+10_000)
		}
		if want := len(list.Raw)>>20 + 1; a.parts() != want {
			t.Errorf("a list of %d octets is in %d parts", len(list.Raw), a.parts())
		}
	}
	a.change(func() {
		a.sign = func(message io.Reader) error {
			_, err := io.CopyN(io.Discard, message, 9<<18) // 2.25 MiB
			return errors.Join(err, errors.New("broken off"))
		}
	})
	if err := a.Rotate(context.Background(), group, crl.Complete); err == nil || a.parts() != 4 {
		t.Errorf("%d parts after a build that broke off, %v; want 3 of the list and 1 that is nobody's", a.parts(), err)
	}
	a.change(func() { a.sign = nil })
	if err := a.Rotate(context.Background(), group, crl.Complete); err != nil || a.parts() != 3 {
		t.Errorf("%d parts after the next build, %v", a.parts(), err)
	}
	checkSeek(t, a)
}

// checkSeek reads ranges of a list, as HTTP clients may.
func checkSeek(t *testing.T, a *authority) {
	t.Helper()
	h, err := a.Latest(context.Background(), group, crl.Complete)
	if err != nil {
		t.Fatal(err)
	}
	err = h.Read(context.Background(), func(c *crl.Content) error {
		for name, octets := range map[string]io.ReadSeeker{"DER": c.DER(), "PEM": c.PEM()} {
			whole, err := io.ReadAll(octets)
			if err != nil {
				return err
			}
			for _, at := range []int{0, 1, 23, 24, 25, 64, 65, 89, 90, 1<<20 - 1, 1 << 20, 1<<20 + 5, 1<<20 + 6, 2<<20 + 6, len(whole) - 23, len(whole) - 1, len(whole)} {
				if _, err := octets.Seek(int64(at), io.SeekStart); err != nil {
					return err
				}
				got := make([]byte, min(100, len(whole)-at))
				if _, err := io.ReadFull(octets, got); err != nil || !bytes.Equal(got, whole[at:at+len(got)]) {
					t.Errorf("%s from octet %d: %q, %v", name, at, got, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
