package fakekms

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"strconv"

	_ "crypto/sha512" // for crypto.Hash
)

// algorithm is one that a key spec signs with.
type algorithm struct {
	hash crypto.Hash
	pss  bool
	mu   bool // ML-DSA
}

var rsaAlgorithms = map[string]algorithm{
	"RSASSA_PKCS1_V1_5_SHA_256": {hash: crypto.SHA256}, "RSASSA_PKCS1_V1_5_SHA_384": {hash: crypto.SHA384}, "RSASSA_PKCS1_V1_5_SHA_512": {hash: crypto.SHA512},
	"RSASSA_PSS_SHA_256": {hash: crypto.SHA256, pss: true}, "RSASSA_PSS_SHA_384": {hash: crypto.SHA384, pss: true}, "RSASSA_PSS_SHA_512": {hash: crypto.SHA512, pss: true},
}

var algorithms = map[string]map[string]algorithm{
	"RSA_2048": rsaAlgorithms, "RSA_3072": rsaAlgorithms, "RSA_4096": rsaAlgorithms,
	"ECC_NIST_P256":         {"ECDSA_SHA_256": {hash: crypto.SHA256}},
	"ECC_NIST_P384":         {"ECDSA_SHA_384": {hash: crypto.SHA384}},
	"ECC_NIST_P521":         {"ECDSA_SHA_512": {hash: crypto.SHA512}},
	"ECC_NIST_EDWARDS25519": {"ED25519_SHA_512": {}},
	"ML_DSA_44":             {"ML_DSA_SHAKE_256": {mu: true}},
	"ML_DSA_65":             {"ML_DSA_SHAKE_256": {mu: true}},
	"ML_DSA_87":             {"ML_DSA_SHAKE_256": {mu: true}},
}

// maxMessage bounds Message, whatever its type.
const maxMessage = 4096

// sign makes a signature as the service does, with its refusals.
func (k *Key) sign(name, messageType string, message []byte) ([]byte, *Failure) {
	if len(message) == 0 || len(message) > maxMessage {
		// The service echoes the message here.
		return nil, fail("ValidationException", "1 validation error detected: Value '"+string(message)+"' at 'message' failed to satisfy constraint: Member must have length less than or equal to "+strconv.Itoa(maxMessage))
	}
	a, ok := algorithms[k.Spec][name]
	if !ok {
		return nil, fail("InvalidKeyUsageException", "Algorithm "+name+" is incompatible with key spec "+k.Spec+".")
	}
	digest, failure := a.input(name, messageType, message)
	if failure != nil {
		return nil, failure
	}
	var options crypto.SignerOpts = a.hash
	switch {
	case a.mu && messageType == "EXTERNAL_MU":
		options = crypto.MLDSAMu
	case a.pss:
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: a.hash}
	}
	signature, err := k.private.Sign(rand.Reader, digest, options)
	if err != nil {
		return nil, fail("KMSInternalException", err.Error())
	}
	return signature, nil
}

// input is what the key is given of a message.
func (a algorithm) input(name, messageType string, message []byte) ([]byte, *Failure) {
	switch {
	case messageType == "EXTERNAL_MU" && a.mu:
		if len(message) != 64 {
			return nil, fail("ValidationException", "Mu is invalid length for algorithm "+name)
		}
	case messageType == "DIGEST" && a.hash != 0:
		if len(message) != a.hash.Size() {
			return nil, fail("ValidationException", "Digest is invalid length for algorithm "+name+".")
		}
	case (messageType == "RAW" || messageType == "") && a.hash != 0:
		h := a.hash.New()
		h.Write(message)
		return h.Sum(nil), nil
	case messageType == "RAW" || messageType == "":
	default:
		return nil, fail("ValidationException", "MessageType "+messageType+" is not valid for algorithm "+name)
	}
	return message, nil
}
