package awskms

import (
	"bytes"
	"context"
	"crypto/mldsa"
	"crypto/sha3"
	"crypto/subtle"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/hsmpki/hsmpki/wire"
)

// maxRaw bounds what KMS signs as it is, in octets.
const maxRaw = 4096

// Sign implements [wire.Service]. The key is named by its ARN, so that an alias
// that is moved meanwhile does not change who signs.
func (s *Service) Sign(ctx context.Context, req *wire.SignRequest) (*wire.SignResponse, error) {
	k, err := s.lookup(req.Key)
	if err != nil {
		return nil, err
	}
	f, err := s.current(ctx, k)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(req.SPKI, f.id[:]) != 1 {
		return nil, wire.Errorf(wire.KeyChanged, "managed key %q: %s is not the key pair that was asked for; its public key changed", k.name, f.arn)
	}
	w, ok := f.spec.way(req.Scheme)
	if !ok {
		return nil, wire.Errorf(wire.Invalid, "managed key %q, which is %s in AWS KMS, does not sign with %s", k.name, f.spec, req.Scheme)
	}
	input, err := w.input(k, f, req)
	if err != nil {
		return nil, err
	}
	a := s.account(k)
	answer, err := ask(ctx, a, a.signing, (*kms.Client).Sign, &kms.SignInput{
		KeyId: aws.String(f.arn), Message: input, MessageType: w.message, SigningAlgorithm: w.algorithm})
	if err != nil {
		return nil, k.failure("signing with "+f.arn, err)
	}
	s.log.Info("AWS KMS signed", "key", k.name, "arn", f.arn, "scheme", req.Scheme.String(), "request_id", requestID(answer.ResultMetadata), "context", shorten(req.Context))
	return &wire.SignResponse{Signature: answer.Signature}, nil
}

// input is what KMS is given to sign: a digest, μ, or a message that is short.
func (w way) input(k *key, f *found, req *wire.SignRequest) ([]byte, error) {
	message := req.Parts
	if message == nil {
		message = bytes.NewReader(req.Message)
	}
	switch w.message {
	case types.MessageTypeDigest:
		return w.digest(req, message)
	case types.MessageTypeExternalMu:
		if len(req.Digest) > 0 {
			return nil, wire.Errorf(wire.Invalid, "%s signs a message, not a digest", req.Scheme)
		}
		return mu(f.public.(*mldsa.PublicKey), message)
	}
	if len(req.Digest) > 0 {
		return nil, wire.Errorf(wire.Invalid, "%s signs a message, not a digest", req.Scheme)
	}
	raw, err := io.ReadAll(io.LimitReader(message, maxRaw+1))
	if err == nil && len(raw) > maxRaw {
		err = wire.Errorf(wire.Invalid, "managed key %q: AWS KMS signs at most %d octets with %s, and this is longer (a CRL of many entries is; P256, RSA and ML-DSA have no such bound)", k.name, maxRaw, req.Scheme)
	}
	return raw, err
}

func (w way) digest(req *wire.SignRequest, message io.Reader) ([]byte, error) {
	hash := req.Scheme.Hash()
	if len(req.Digest) == hash.Size() {
		return req.Digest, nil
	}
	if len(req.Digest) > 0 {
		return nil, wire.Errorf(wire.Invalid, "a digest of %d octets, where %s has %d", len(req.Digest), req.Scheme, hash.Size())
	}
	h := hash.New()
	_, err := io.Copy(h, message)
	return h.Sum(nil), err
}

// mu is the message representative of ML-DSA, made while the message is read
// (FIPS 204, section 6.2 and algorithm 2): SHAKE256(tr ‖ M′) of 64 octets, where
// tr = SHAKE256(pk), and M′ is the message after 0 and the length of the empty
// context.
func mu(public *mldsa.PublicKey, message io.Reader) ([]byte, error) {
	h := sha3.NewSHAKE256()
	h.Write(sha3.SumSHAKE256(public.Bytes(), 64))
	h.Write([]byte{0, 0})
	if _, err := io.Copy(h, message); err != nil {
		return nil, err
	}
	out := make([]byte, 64)
	h.Read(out)
	return out, nil
}
