//go:build cgo

package pkcs11

import (
	"crypto"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// PKCS#11 3.0 numbers that miekg/pkcs11 has not.
const (
	ckmEdDSA               = 0x1057
	ckmECEdwardsKeyPairGen = 0x1055
	ckkECEdwards           = 0x40
)

// mechanism is a signing mechanism with its RSA-PSS parameter (hash is 0 for
// the others). The salt is as long as the hash and the mask uses the same one:
// what tokens accept beside that often does not verify.
type mechanism struct {
	id, hash, mgf, salt uint
	prefix              []byte // of the digest: DigestInfo for CKM_RSA_PKCS
}

var mechanisms = map[wire.SignatureScheme]mechanism{
	wire.RSAPKCS1SHA256:  {id: p11.CKM_RSA_PKCS, prefix: digestInfo(0x31, 0x01, 0x20)},
	wire.RSAPKCS1SHA384:  {id: p11.CKM_RSA_PKCS, prefix: digestInfo(0x41, 0x02, 0x30)},
	wire.RSAPKCS1SHA512:  {id: p11.CKM_RSA_PKCS, prefix: digestInfo(0x51, 0x03, 0x40)},
	wire.RSAPSSSHA256:    {id: p11.CKM_RSA_PKCS_PSS, hash: p11.CKM_SHA256, mgf: p11.CKG_MGF1_SHA256, salt: 32},
	wire.RSAPSSSHA384:    {id: p11.CKM_RSA_PKCS_PSS, hash: p11.CKM_SHA384, mgf: p11.CKG_MGF1_SHA384, salt: 48},
	wire.RSAPSSSHA512:    {id: p11.CKM_RSA_PKCS_PSS, hash: p11.CKM_SHA512, mgf: p11.CKG_MGF1_SHA512, salt: 64},
	wire.ECDSAP256SHA256: {id: p11.CKM_ECDSA},
	wire.ECDSAP384SHA384: {id: p11.CKM_ECDSA},
	wire.ECDSAP521SHA512: {id: p11.CKM_ECDSA},
	wire.Ed25519:         {id: ckmEdDSA},
}

// digestInfo is what RFC 8017, section 9.2, note 1, puts before a SHA-2 digest:
// the arc of the hash under 2.16.840.1.101.3.4.2 and two lengths vary.
func digestInfo(length, arc, size byte) []byte {
	return []byte{0x30, length, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc, 0x05, 0x00, 0x04, size}
}

// input is what the token signs for a request: the digest with its prefix, or
// the message itself. Lengths are checked here, because tokens sign digests of
// any length and what they make of them verifies nowhere.
func input(req *wire.SignRequest) (mechanism, []byte, error) {
	mech, ok := mechanisms[req.Scheme]
	if !ok {
		return mechanism{}, nil, wire.Errorf(wire.Invalid, "%s is not signed by PKCS#11 keys here", req.Scheme)
	}
	hash := req.Scheme.Hash()
	digest := req.Digest
	switch {
	case len(req.Digest) == 0 && len(req.Message) == 0:
		return mechanism{}, nil, wire.Errorf(wire.Invalid, "there is nothing to sign: neither a digest nor a message")
	case hash == 0 && len(req.Digest) > 0:
		return mechanism{}, nil, wire.Errorf(wire.Invalid, "%s signs the message, not a digest", req.Scheme)
	case hash == 0:
		return mech, req.Message, nil
	case len(req.Digest) > 0 && len(req.Message) > 0:
		return mechanism{}, nil, wire.Errorf(wire.Invalid, "either a message or a digest is signed, not both")
	case len(req.Digest) == 0:
		digest = hashOf(hash, req.Message)
	}
	if len(digest) != hash.Size() {
		return mechanism{}, nil, wire.Errorf(wire.Invalid, "a digest of %d octets for %s, which has %d", len(digest), req.Scheme, hash.Size())
	}
	if mech.prefix != nil {
		digest = append(mech.prefix[:len(mech.prefix):len(mech.prefix)], digest...)
	}
	return mech, digest, nil
}

func hashOf(hash crypto.Hash, message []byte) []byte {
	h := hash.New()
	h.Write(message)
	return h.Sum(nil)
}

// keyKind is what a definition's mechanism asks for, by the CKK_ number of the
// keys that it signs with.
func keyKind(ckm uint64) (ckk uint, ok bool) {
	switch ckm {
	case p11.CKM_RSA_PKCS, p11.CKM_RSA_PKCS_PSS:
		return p11.CKK_RSA, true
	case p11.CKM_ECDSA:
		return p11.CKK_EC, true
	case ckmEdDSA:
		return ckkECEdwards, true
	}
	return 0, false
}
