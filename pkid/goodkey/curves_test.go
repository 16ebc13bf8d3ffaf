package goodkey_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/goodkey"
)

// public is the public key of a private one.
func public(t *testing.T, curve elliptic.Curve, scalar *big.Int) *ecdsa.PublicKey {
	t.Helper()
	octets := scalar.FillBytes(make([]byte, (curve.Params().BitSize+7)/8))
	key, err := ecdsa.ParseRawPrivateKey(curve, octets)
	if err != nil {
		t.Fatal(err)
	}
	return &key.PublicKey
}

func TestSmallScalars(t *testing.T) {
	for _, curve := range curves {
		order := curve.Params().N
		for _, c := range []struct {
			scalar *big.Int
			words  string
		}{
			{big.NewInt(1), "small number"},
			{big.NewInt(2), "small number"},
			{big.NewInt(255), "small number"},
			{big.NewInt(256), ""},
			{new(big.Int).Sub(order, big.NewInt(1)), "small number"},
			{new(big.Int).Sub(order, big.NewInt(255)), "small number"},
			{new(big.Int).Sub(order, big.NewInt(256)), ""},
		} {
			key := public(t, curve, c.scalar)
			refused(t, curve.Params().Name+" "+c.scalar.String(), new(goodkey.Policy).Check(key), c.words)
			refused(t, curve.Params().Name+" "+c.scalar.String(), goodkey.Usable(key), "")
		}
	}
}

// point makes a key that nothing else in the standard library would make.
func point(curve elliptic.Curve, x, y *big.Int) *ecdsa.PublicKey {
	//lint:ignore SA1019 a wrong key cannot be made in another way
	return &ecdsa.PublicKey{Curve: curve, X: x, Y: y}
}

func TestPoints(t *testing.T) {
	for _, curve := range curves {
		key := good()[curve.Params().Name].(*ecdsa.PublicKey)
		octets, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		half := 1 + len(octets)/2
		x, y := new(big.Int).SetBytes(octets[1:half]), new(big.Int).SetBytes(octets[half:])
		for what, at := range map[string][2]*big.Int{
			"infinity":      {new(big.Int), new(big.Int)},
			"another point": {x, new(big.Int).Add(y, big.NewInt(1))},
			"negative":      {new(big.Int).Neg(x), y},
			"unreduced":     {new(big.Int).Add(x, curve.Params().P), y},
		} {
			bad := point(curve, at[0], at[1])
			refused(t, curve.Params().Name+" "+what, goodkey.Usable(bad), "not a point of its curve")
		}
	}
	refused(t, "no curve", goodkey.Usable(point(nil, new(big.Int), new(big.Int))), "unsupported curve")
	own := &elliptic.CurveParams{Name: "own", P: big.NewInt(23), N: big.NewInt(28), B: big.NewInt(1), Gx: big.NewInt(0), Gy: big.NewInt(1), BitSize: 5}
	refused(t, "a curve of one's own", goodkey.Usable(point(own, big.NewInt(0), big.NewInt(1))), "unsupported curve")
}

// TestEd25519 has the encodings of small order that libsodium refuses too, the
// canonical and the others.
func TestEd25519(t *testing.T) {
	for octets, words := range map[string]string{
		"0000000000000000000000000000000000000000000000000000000000000000": "small order",
		"0100000000000000000000000000000000000000000000000000000000000000": "small order",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05": "small order",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a": "small order",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": "small order",
		"0000000000000000000000000000000000000000000000000000000000000080": "small order",
		"0100000000000000000000000000000000000000000000000000000000000080": "small order",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85": "small order",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa": "small order",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff": "small order",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": "canonical",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": "canonical",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff": "canonical",
		"0200000000000000000000000000000000000000000000000000000000000000": "not a point",
		"0700000000000000000000000000000000000000000000000000000000000080": "not a point",
		"0300000000000000000000000000000000000000000000000000000000000000": "",
		"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a": "", // RFC 8032, section 7.1
	} {
		key, err := hex.DecodeString(octets)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, octets, new(goodkey.Policy).Check(ed25519.PublicKey(key)), words)
	}
	refused(t, "31 octets", goodkey.Usable(make(ed25519.PublicKey, 31)), "32 octets")
	key := slices.Clone(good()["Ed25519"].(ed25519.PublicKey))
	before := slices.Clone(key)
	refused(t, "a good one", goodkey.Usable(key), "")
	if !slices.Equal(key, before) {
		t.Error("the check changed the key")
	}
	for range 200 {
		seed := make([]byte, ed25519.SeedSize)
		copy(seed, key)
		key = ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
		refused(t, "a made one", goodkey.Usable(key), "")
	}
}
