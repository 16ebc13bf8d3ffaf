package goodkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"sync"
)

// smallScalars is how many private keys, from 1 upwards and from the group's
// order downwards, are taken for found.
const smallScalars = 255

// curves are the ones that x509 can encode, each with the X coordinates of its
// first multiples of the base point: one table serves both ends, as -P has the
// X coordinate of P. They are made when they are first needed.
var curves = map[elliptic.Curve]func() (map[string]bool, error){
	elliptic.P224(): sync.OnceValues(func() (map[string]bool, error) { return multiples(elliptic.P224()) }),
	elliptic.P256(): sync.OnceValues(func() (map[string]bool, error) { return multiples(elliptic.P256()) }),
	elliptic.P384(): sync.OnceValues(func() (map[string]bool, error) { return multiples(elliptic.P384()) }),
	elliptic.P521(): sync.OnceValues(func() (map[string]bool, error) { return multiples(elliptic.P521()) }),
}

// usableECDSA refuses what is not a point of one of the curves. These have a
// prime order, so each of their points but that at infinity has it too (NIST SP
// 800-56A, section 5.6.2.3.3).
func usableECDSA(key *ecdsa.PublicKey) error {
	if key == nil || curves[key.Curve] == nil {
		return errors.New("unsupported curve of the public key")
	}
	if _, err := coordinateX(key); err != nil {
		return errors.New("the public key is not a point of its curve")
	}
	return nil
}

// checkScalar refuses the keys whose private key is found by trying.
func checkScalar(key *ecdsa.PublicKey) error {
	small, err := curves[key.Curve]()
	if err != nil {
		return err
	}
	x, err := coordinateX(key)
	if err != nil {
		return err
	}
	if small[x] {
		return errors.New("the ECDSA key is weak: its private key is a small number")
	}
	return nil
}

// coordinateX gives the X coordinate of a valid key.
func coordinateX(key *ecdsa.PublicKey) (string, error) {
	point, err := key.Bytes() // 4, X, Y
	if err != nil {
		return "", err
	}
	return string(point[1 : 1+len(point)/2]), nil
}

func multiples(curve elliptic.Curve) (map[string]bool, error) {
	xs := make(map[string]bool, smallScalars)
	scalar := make([]byte, (curve.Params().BitSize+7)/8)
	for k := 1; k <= smallScalars; k++ {
		scalar[len(scalar)-1] = byte(k)
		key, err := ecdsa.ParseRawPrivateKey(curve, scalar)
		if err != nil {
			return nil, err
		}
		x, err := coordinateX(&key.PublicKey)
		if err != nil {
			return nil, err
		}
		xs[x] = true
	}
	return xs, nil
}
