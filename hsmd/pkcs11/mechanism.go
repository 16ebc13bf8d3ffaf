//go:build cgo

package pkcs11

import (
	"crypto"
	"slices"

	p11 "github.com/miekg/pkcs11"

	"github.com/hsmpki/hsmpki/wire"
)

// Numbers of PKCS#11 3.0, and for ML-DSA 3.2, that miekg/pkcs11 has not.
const (
	ckmEdDSA               = 0x1057
	ckmECEdwardsKeyPairGen = 0x1055
	ckkECEdwards           = 0x40

	ckmMLDSA           = 0x1D
	ckmMLDSAKeyPairGen = 0x1C
	ckkMLDSA           = 0x4A
	ckaParameterSet    = 0x61D
)

// mechanism is a signing mechanism with its RSA-PSS parameter (hash is 0 for
// the others). The salt is as long as the hash and the mask uses the same one:
// what tokens accept beside that often does not verify.
type mechanism struct {
	id, hash, mgf, salt uint
	prefix              []byte // of the digest: DigestInfo for CKM_RSA_PKCS
	hashes              bool   // the token hashes, and is given the message
	mayHash             bool   // there is another, by which the token would hash
}

// mechanisms sign a digest, or the message for Ed25519 and ML-DSA: hsmd has
// hashed already. Without a parameter CKM_ML_DSA signs in the empty context.
var mechanisms = map[wire.SignatureScheme]mechanism{
	wire.RSAPKCS1SHA256:  {id: p11.CKM_RSA_PKCS, prefix: digestInfo(0x31, 0x01, 0x20)},
	wire.RSAPKCS1SHA384:  {id: p11.CKM_RSA_PKCS, prefix: digestInfo(0x41, 0x02, 0x30)},
	wire.RSAPKCS1SHA512:  {id: p11.CKM_RSA_PKCS, prefix: digestInfo(0x51, 0x03, 0x40)},
	wire.RSAPSSSHA256:    pss(p11.CKM_RSA_PKCS_PSS, p11.CKM_SHA256, p11.CKG_MGF1_SHA256, 32),
	wire.RSAPSSSHA384:    pss(p11.CKM_RSA_PKCS_PSS, p11.CKM_SHA384, p11.CKG_MGF1_SHA384, 48),
	wire.RSAPSSSHA512:    pss(p11.CKM_RSA_PKCS_PSS, p11.CKM_SHA512, p11.CKG_MGF1_SHA512, 64),
	wire.ECDSAP256SHA256: {id: p11.CKM_ECDSA},
	wire.ECDSAP384SHA384: {id: p11.CKM_ECDSA},
	wire.ECDSAP521SHA512: {id: p11.CKM_ECDSA},
	wire.Ed25519:         {id: ckmEdDSA},
	wire.MLDSA44:         {id: ckmMLDSA},
	wire.MLDSA65:         {id: ckmMLDSA},
	wire.MLDSA87:         {id: ckmMLDSA},
}

// hashing are their like that hash on the token, for tokens that have, or let a
// key use, only these: FIPS modes, most of all.
var hashing = map[wire.SignatureScheme]mechanism{
	wire.RSAPKCS1SHA256:  {id: p11.CKM_SHA256_RSA_PKCS},
	wire.RSAPKCS1SHA384:  {id: p11.CKM_SHA384_RSA_PKCS},
	wire.RSAPKCS1SHA512:  {id: p11.CKM_SHA512_RSA_PKCS},
	wire.RSAPSSSHA256:    pss(p11.CKM_SHA256_RSA_PKCS_PSS, p11.CKM_SHA256, p11.CKG_MGF1_SHA256, 32),
	wire.RSAPSSSHA384:    pss(p11.CKM_SHA384_RSA_PKCS_PSS, p11.CKM_SHA384, p11.CKG_MGF1_SHA384, 48),
	wire.RSAPSSSHA512:    pss(p11.CKM_SHA512_RSA_PKCS_PSS, p11.CKM_SHA512, p11.CKG_MGF1_SHA512, 64),
	wire.ECDSAP256SHA256: {id: p11.CKM_ECDSA_SHA256},
	wire.ECDSAP384SHA384: {id: p11.CKM_ECDSA_SHA384},
	wire.ECDSAP521SHA512: {id: p11.CKM_ECDSA_SHA512},
}

// schemes are those that the key pair signs with; onToken: those for which the
// token hashes.
func (f *found) schemes(onToken bool) []wire.SignatureScheme {
	var out []wire.SignatureScheme
	for scheme, mech := range f.ways {
		if mech.hashes || !onToken {
			out = append(out, scheme)
		}
	}
	slices.Sort(out)
	return out
}

func pss(id, hash, mgf, salt uint) mechanism {
	return mechanism{id: id, hash: hash, mgf: mgf, salt: salt}
}

// waysFor are the mechanisms, by scheme, that a key of the definition's
// mechanism can sign with: the one of the definition where it is usable, else
// those of its kind that hash on the token.
func waysFor(ckm uint64, usable func(ckm uint) bool) map[wire.SignatureScheme]mechanism {
	ways := map[wire.SignatureScheme]mechanism{}
	for scheme, mech := range mechanisms {
		if uint64(mech.id) != ckm {
			continue
		}
		onToken, exists := hashing[scheme]
		onToken.hashes = true
		switch {
		case usable(mech.id):
			mech.mayHash = exists && usable(onToken.id)
			ways[scheme] = mech
		case exists && usable(onToken.id):
			ways[scheme] = onToken
		}
	}
	return ways
}

// digestInfo is what RFC 8017, section 9.2, note 1, puts before a SHA-2 digest:
// the arc of the hash under 2.16.840.1.101.3.4.2 and two lengths vary.
func digestInfo(length, arc, size byte) []byte {
	return []byte{0x30, length, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc, 0x05, 0x00, 0x04, size}
}

// check refuses what no mechanism signs. Lengths are checked here, because
// tokens sign digests of any length and what they make of them verifies nowhere.
func check(req *wire.SignRequest) error {
	if _, ok := mechanisms[req.Scheme]; !ok {
		return wire.Errorf(wire.Invalid, "%s is not signed by PKCS#11 keys here", req.Scheme)
	}
	hash := req.Scheme.Hash()
	switch {
	case req.Parts != nil:
	case len(req.Digest) == 0 && len(req.Message) == 0:
		return wire.Errorf(wire.Invalid, "there is nothing to sign: neither a digest nor a message")
	case hash == 0 && len(req.Digest) > 0:
		return wire.Errorf(wire.Invalid, "%s signs the message, not a digest", req.Scheme)
	case len(req.Digest) > 0 && len(req.Message) > 0:
		return wire.Errorf(wire.Invalid, "either a message or a digest is signed, not both")
	case len(req.Digest) > 0 && len(req.Digest) != hash.Size():
		return wire.Errorf(wire.Invalid, "a digest of %d octets for %s, which has %d", len(req.Digest), req.Scheme, hash.Size())
	}
	return nil
}

// input is what the token is given for a request that [check] let pass: the
// digest with its prefix, or the message itself.
func (m *mechanism) input(req *wire.SignRequest) ([]byte, error) {
	hash := req.Scheme.Hash()
	digest := req.Digest
	switch {
	case m.hashes && len(digest) > 0:
		return nil, wire.Errorf(wire.Invalid, "the token hashes itself for %s, and is given the message", req.Scheme)
	case m.hashes || hash == 0:
		return req.Message, nil
	case len(digest) == 0:
		digest = hashOf(hash, req.Message)
	}
	if m.prefix != nil {
		digest = append(m.prefix[:len(m.prefix):len(m.prefix)], digest...)
	}
	return digest, nil
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
	case ckmMLDSA:
		return ckkMLDSA, true
	}
	return 0, false
}
