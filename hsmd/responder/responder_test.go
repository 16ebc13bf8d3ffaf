package responder_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/responder"
)

var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func make1(t *testing.T, table *responder.Table, name string, pair byte, at time.Duration) (*responder.Key, bool) {
	t.Helper()
	key, made, err := table.Make(name, responder.ID{pair}, start.Add(at))
	if err != nil {
		t.Fatal(err)
	}
	return key, made
}

func TestRotates(t *testing.T) {
	var table responder.Table
	first, made := make1(t, &table, "ca", 1, 0)
	again, madeAgain := make1(t, &table, "ca", 1, responder.Rotation-time.Second)
	if !made || madeAgain || again != first {
		t.Fatalf("made %v, again %v, the same %v", made, madeAgain, again == first)
	}
	second, made := make1(t, &table, "ca", 1, responder.Rotation)
	if !made || second == first {
		t.Fatal("no new key when it was due")
	}
	if table.Find("ca", first.ID[:]) != first || table.Find("ca", second.ID[:]) != second {
		t.Error("one of the last two keys is gone")
	}
	// A key that was answered just before it was due has signed for Rotation
	// when the key after the next one ends it.
	third, _ := make1(t, &table, "ca", 1, 2*responder.Rotation)
	if table.Find("ca", first.ID[:]) != nil || table.Find("ca", second.ID[:]) != second || table.Find("ca", third.ID[:]) != third {
		t.Error("not the last two keys are there")
	}
}

func TestBelongsToOneKeyPair(t *testing.T) {
	var table responder.Table
	key, _ := make1(t, &table, "ca", 1, 0)
	if key.Owner != (responder.ID{1}) || table.Find("other", key.ID[:]) != nil {
		t.Error("found under another name")
	}
	next, made := make1(t, &table, "ca", 2, 0)
	if !made || next.Owner != (responder.ID{2}) || table.Find("ca", key.ID[:]) != nil {
		t.Error("a key of the key pair before is there")
	}
	table.Forget("ca")
	if table.Find("ca", next.ID[:]) != nil {
		t.Error("found what was forgotten")
	}
}

func TestBounded(t *testing.T) {
	var table responder.Table
	first, _ := make1(t, &table, "0", 1, 0)
	second, _ := make1(t, &table, "1", 1, time.Second)
	make1(t, &table, "0", 1, 2*time.Second)
	for i := 2; i <= 1024; i++ {
		make1(t, &table, fmt.Sprint(i), 1, time.Minute)
	}
	if table.Find("0", first.ID[:]) == nil || table.Find("1", second.ID[:]) != nil {
		t.Error("not the owner went that was asked for longest ago")
	}
}

func TestSigns(t *testing.T) {
	var table responder.Table
	key, _ := make1(t, &table, "ca", 1, 0)
	if key.ID != sha256.Sum256(key.SPKI) {
		t.Error("the ID is not the SPKI's")
	}
	public, err := x509.ParsePKIXPublicKey(key.SPKI)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			digest := sha256.Sum256([]byte{byte(i)})
			signature, err := table.Find("ca", key.ID[:]).Sign(digest[:])
			if err != nil || !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), digest[:], signature) {
				t.Errorf("signature %x: %v", signature, err)
			}
		})
	}
	running.Wait()
}
