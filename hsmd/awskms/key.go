package awskms

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/hsmpki/hsmpki/wire"
)

// key is one definition.
type key struct {
	name       string
	definition wire.Definition
	aws        *wire.AWSKMSDefinition
	fromWire   bool

	looking chan struct{} // taken by who looks where the alias points

	mu      sync.Mutex
	found   *found
	checked time.Time // when KMS last said so
	made    time.Time // when hsmd made it; zero where it did not
}

// found is the key pair that a definition leads to.
type found struct {
	arn    string
	spki   []byte
	id     [sha256.Size]byte
	public crypto.PublicKey
	spec   keySpec
}

func (k *key) known() *found {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.found
}

func (k *key) keep(f *found) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.found, k.checked = f, time.Now()
}

func (k *key) rate() int { return cmp.Or(k.aws.RequestsPerSecond, defaultRate) }

// info is the key as an answer shows it, without its credentials.
func (k *key) info(f *found, fault error) wire.KeyInfo {
	shown := *k.aws
	shown.AccessKey, shown.SecretKey = "", ""
	info := wire.KeyInfo{Definition: k.definition, Fault: wire.FaultOf(fault)}
	info.Definition.AWSKMS = &shown
	if f != nil && fault == nil {
		info.PublicKey, info.Schemes = f.spki, f.spec.schemes()
	}
	return info
}

// find asks KMS where the key is and how. Its public key is asked for once.
func (s *Service) find(ctx context.Context, k *key) (*found, error) {
	a := s.account(k)
	f, err := s.resolve(ctx, a, k, k.aws.KMSKey)
	if isUnknown(err) && k.isFresh() {
		err = settled(ctx, func() error { // it has not got around yet
			f, err = s.resolve(ctx, a, k, k.aws.KMSKey)
			return err
		})
	}
	if err != nil {
		if isUnknown(err) {
			k.keep(nil)
		}
		return nil, err
	}
	if before := k.known(); before != nil && before.arn != f.arn {
		s.log.Warn("an alias in AWS KMS points to another key", "key", k.name, "alias", k.aws.KMSKey, "before", before.arn, "now", f.arn)
	}
	k.keep(f)
	return f, nil
}

// resolve finds the key that an alias, ARN or id leads to, and checks that it is
// what the definition says.
func (s *Service) resolve(ctx context.Context, a *account, k *key, id string) (*found, error) {
	answer, err := ask(ctx, a, a.reading, (*kms.Client).DescribeKey, &kms.DescribeKeyInput{KeyId: &id})
	if err != nil {
		return nil, k.failure("looking for "+id, err)
	}
	m := answer.KeyMetadata
	if m == nil || m.Arn == nil {
		return nil, k.notKMS("looking for " + id)
	}
	switch m.KeyState {
	case types.KeyStateEnabled:
	case types.KeyStateDisabled:
		return nil, wire.Errorf(wire.Denied, "managed key %q: the key %s is disabled in AWS KMS", k.name, *m.Arn)
	case types.KeyStatePendingDeletion, types.KeyStatePendingReplicaDeletion:
		return nil, wire.Errorf(wire.Denied, "managed key %q: the key %s is pending deletion in AWS KMS", k.name, *m.Arn)
	default:
		return nil, &wire.Error{Code: wire.Unavailable, RetryAfter: again, Message: "managed key \"" + k.name + "\": the key " + *m.Arn + " is " + string(m.KeyState) + " in AWS KMS"}
	}
	if m.KeyUsage != types.KeyUsageTypeSignVerify {
		return nil, wire.Errorf(wire.Invalid, "managed key %q: the key %s is for %s in AWS KMS, not for SIGN_VERIFY", k.name, *m.Arn, m.KeyUsage)
	}
	spec := keySpec(m.KeySpec)
	if want := specOf(k.aws); !want.fits(spec) {
		return nil, wire.Errorf(wire.Invalid, "managed key %q: the key %s is %s in AWS KMS, its definition says %s", k.name, *m.Arn, spec, want)
	}
	spki, public, err := s.publicKey(ctx, a, k, *m.Arn)
	if err != nil {
		return nil, err
	}
	return &found{arn: *m.Arn, spki: spki, id: sha256.Sum256(spki), public: public, spec: spec}, nil
}

// publicKey gives the public key behind an ARN, which KMS never changes. What
// cannot be read is not kept.
func (s *Service) publicKey(ctx context.Context, a *account, k *key, arn string) (spki []byte, public crypto.PublicKey, err error) {
	a.mu.Lock()
	spki = a.public[arn]
	a.mu.Unlock()
	if spki == nil {
		answer, err := ask(ctx, a, a.reading, (*kms.Client).GetPublicKey, &kms.GetPublicKeyInput{KeyId: &arn})
		if err != nil {
			return nil, nil, k.failure("reading the public key of "+arn, err)
		}
		spki = bytes.Clone(answer.PublicKey)
	}
	if public, err = x509.ParsePKIXPublicKey(spki); err != nil {
		return nil, nil, wire.Errorf(wire.Internal, "managed key %q: the public key that AWS KMS gives cannot be read: %v", k.name, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.public[arn] = spki
	return spki, public, nil
}

// current gives the key pair to sign with. Where an alias points is looked at
// again now and then, by one request; the others sign on meanwhile, by ARN, and
// so does this one where KMS does not say.
func (s *Service) current(ctx context.Context, k *key) (*found, error) {
	k.mu.Lock()
	f, checked := k.found, k.checked
	k.mu.Unlock()
	if f != nil {
		return s.currentAlias(ctx, k, f, checked)
	}
	select {
	case k.looking <- struct{}{}:
		defer func() { <-k.looking }()
	case <-ctx.Done():
		return nil, wire.AsError(ctx.Err())
	}
	if f = k.known(); f != nil {
		return f, nil
	}
	return s.find(ctx, k)
}

func (s *Service) currentAlias(ctx context.Context, k *key, f *found, checked time.Time) (*found, error) {
	if time.Since(checked) < s.recheck || !isAlias(k.aws.KMSKey) {
		return f, nil
	}
	select {
	case k.looking <- struct{}{}:
		defer func() { <-k.looking }()
	default:
		return f, nil
	}
	now, err := s.find(ctx, k)
	if code := wire.AsError(err); code != nil && (code.Code == wire.Busy || code.Code == wire.Unavailable) {
		return f, nil
	}
	return now, err
}

func isAlias(id string) bool {
	return strings.HasPrefix(id, "alias/") || strings.Contains(id, ":alias/")
}
