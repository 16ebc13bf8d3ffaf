package backendtest

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hsmpki/hsmpki/wire"
)

// schemes are those of a key, by what its definition says.
func schemes(kind wire.KeyType, mechanism uint64) []wire.SignatureScheme {
	switch {
	case mechanism == 0x1:
		return []wire.SignatureScheme{wire.RSAPKCS1SHA256, wire.RSAPKCS1SHA384, wire.RSAPKCS1SHA512}
	case mechanism == 0xD:
		return []wire.SignatureScheme{wire.RSAPSSSHA256, wire.RSAPSSSHA384, wire.RSAPSSSHA512}
	case kind == wire.KeyP256:
		return []wire.SignatureScheme{wire.ECDSAP256SHA256}
	case kind == wire.KeyP384:
		return []wire.SignatureScheme{wire.ECDSAP384SHA384}
	case kind == wire.KeyP521:
		return []wire.SignatureScheme{wire.ECDSAP521SHA512}
	case kind == wire.KeyMLDSA44:
		return []wire.SignatureScheme{wire.MLDSA44}
	case kind == wire.KeyMLDSA65:
		return []wire.SignatureScheme{wire.MLDSA65}
	case kind == wire.KeyMLDSA87:
		return []wire.SignatureScheme{wire.MLDSA87}
	}
	return []wire.SignatureScheme{wire.Ed25519}
}

// everyTypeAndScheme is a key's life: missing, made, made again, described,
// used with every scheme that it has.
func everyTypeAndScheme(t *testing.T, b *Backend) {
	for _, kind := range b.Types {
		for _, mechanism := range shapes[kind].mechanisms {
			name := strings.ToLower(fmt.Sprintf("%s-%x", kind, mechanism))
			t.Run(name, func(t *testing.T) { life(t, b, b.definition(name, kind, mechanism), schemes(kind, mechanism)) })
		}
	}
}

func life(t *testing.T, b *Backend, d wire.Definition, offered []wire.SignatureScheme) {
	b.configure(t, d)
	if info := b.find(t, d.Name); info.Fault == nil || info.Fault.Code != wire.UnknownKey {
		t.Fatalf("a key that was never made is described with the fault %+v", info.Fault)
	}
	public := b.made(t, d)
	again, err := b.Service.Generate(t.Context(), &wire.GenerateRequest{Key: d.Name, ID: "another-id"})
	if err != nil || again.Created || !bytes.Equal(again.Key.PublicKey, public.spki) {
		t.Errorf("generated again: %+v, %v; want the same key", again, err)
	}
	if info := b.find(t, d.Name); info.Fault != nil || !bytes.Equal(info.PublicKey, public.spki) {
		t.Errorf("described after it was made: fault %+v", info.Fault)
	}
	for _, scheme := range offered {
		if _, err := b.sign(t, d.Name, public, scheme); err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}

// ecdsaIsMinimalDER signs until r and s have had leading zeros and high bits in
// every combination that is likely.
func ecdsaIsMinimalDER(t *testing.T, b *Backend) {
	for kind, count := range map[wire.KeyType]int{wire.KeyP256: 600, wire.KeyP521: 60} {
		if !slices.Contains(b.Types, kind) {
			continue
		}
		name := "der-" + strings.ToLower(string(kind))
		public := b.made(t, b.definition(name, kind, 0x1041))
		order := public.key.(*ecdsa.PublicKey).Params().N
		for range count {
			signature, err := b.sign(t, name, public, schemes(kind, 0x1041)[0])
			if err != nil {
				t.Fatal(err)
			}
			var value struct{ R, S *big.Int }
			rest, err := asn1.Unmarshal(signature, &value)
			if err != nil || len(rest) > 0 {
				t.Fatalf("%x is no ECDSA-Sig-Value: %v", signature, err)
			}
			if shortest, err := asn1.Marshal(value); err != nil || !bytes.Equal(shortest, signature) {
				t.Fatalf("%x is not the shortest DER", signature)
			}
			if value.R.Sign() <= 0 || value.S.Sign() <= 0 || value.R.Cmp(order) >= 0 || value.S.Cmp(order) >= 0 {
				t.Fatalf("%x is out of range", signature)
			}
		}
	}
}

// manyGenerateAtOnce asks for distinct keys and, as often, for one and the same.
func manyGenerateAtOnce(t *testing.T, b *Backend) {
	each := 25
	if b.plain() == wire.KeyRSA2048 {
		each = 8 // primes take their time
	}
	b.configure(t, b.plainKey("one"))
	for i := range each {
		b.configure(t, b.plainKey(fmt.Sprintf("key-%d", i)))
	}
	var mu sync.Mutex
	distinct, created := map[string]bool{}, map[string]int{}
	var callers sync.WaitGroup
	for i := range 2 * each {
		name := "one"
		if i%2 == 0 {
			name = fmt.Sprintf("key-%d", i/2)
		}
		callers.Go(func() {
			answer, err := b.Service.Generate(t.Context(), &wire.GenerateRequest{Key: name, ID: name})
			if err != nil {
				t.Errorf("generate %s: %v", name, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			distinct[string(answer.Key.PublicKey)] = true
			if answer.Created {
				created[name]++
			}
		})
	}
	callers.Wait()
	if len(distinct) != each+1 {
		t.Errorf("%d key pairs were made, want %d", len(distinct), each+1)
	}
	for name, n := range created {
		if n != 1 {
			t.Errorf("%s was made %d times", name, n)
		}
	}
	for i := range each {
		name := fmt.Sprintf("key-%d", i)
		if _, err := b.sign(t, name, parse(t, b.find(t, name).PublicKey), b.plainScheme()); err != nil {
			t.Error(err)
		}
	}
}

// manySignAtOnce has more callers than a token has sessions.
func manySignAtOnce(t *testing.T, b *Backend) {
	public := b.made(t, b.plainKey("busy"))
	var callers sync.WaitGroup
	for range 64 {
		callers.Go(func() {
			for range 10 {
				if _, err := b.sign(t, "busy", public, b.plainScheme()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
}
