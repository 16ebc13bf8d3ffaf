package awskms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/hsmpki/hsmpki/wire"
)

// What hsmd makes has these tags from the first moment: by the alias it finds
// again what it made without hearing of it.
const (
	tagAlias = "hsmd-alias"
	tagName  = "hsmd-managed-key"
	tagID    = "hsmd-request"
)

const (
	// settleTime is how long what was just made is waited for: KMS says of some
	// of it for seconds, in places for a minute, that it is not there.
	settleTime = time.Minute
	// lostTime is how long after CreateKey no other is made for the same alias,
	// answered or not: KMS may not list the key yet.
	lostTime = 2 * time.Minute
	// lostLook is how long the one is looked for at once.
	lostLook = 15 * time.Second
)

// Generate implements [wire.Service]: it makes a key behind the definition's
// alias. CreateKey has no token that would make it idempotent, and a key costs
// money each month, so the order is: look for the alias, look for a key with our
// tag that has none yet, and only then make one; and after a lost answer look
// again before anything else. A crash at any point leaves a key that the next
// call finds by its tag.
func (s *Service) Generate(ctx context.Context, req *wire.GenerateRequest) (*wire.GenerateResponse, error) {
	if req.Responder || req.Key == "" {
		return nil, wire.Errorf(wire.Invalid, "AWS KMS makes keys of definitions alone")
	}
	k, err := s.lookup(req.Key)
	if err != nil {
		return nil, err
	}
	if !k.definition.AllowGenerateKey {
		return nil, wire.Errorf(wire.Denied, "managed key %q: its definition has no allow_generate_key", k.name)
	}
	a := s.account(k)
	select { // one at a time in an account
	case a.making <- struct{}{}:
		defer func() { <-a.making }()
	case <-ctx.Done():
		return nil, wire.AsError(ctx.Err())
	}

	// Step 1: is it there?
	f, err := s.find(ctx, k)
	if err == nil {
		return &wire.GenerateResponse{Key: k.info(f, nil)}, nil
	}
	if !isUnknown(err) {
		return nil, err
	}

	// Step 2: is it there without its alias? If not, make it.
	arn, created, err := s.madeOrMake(ctx, a, k, req)
	if err != nil {
		return nil, err
	}

	// Step 3: the alias, and what KMS says of both.
	if err := s.name(ctx, a, k, arn); err != nil {
		return nil, notAround(k, err)
	}
	k.mu.Lock()
	k.made = time.Now()
	k.mu.Unlock()
	if f, err = s.find(ctx, k); err != nil {
		return nil, notAround(k, err)
	}
	return &wire.GenerateResponse{Key: k.info(f, nil), Created: created && f.arn == arn}, nil
}

// madeOrMake gives the key that was made for the alias, or makes it.
func (s *Service) madeOrMake(ctx context.Context, a *account, k *key, req *wire.GenerateRequest) (arn string, created bool, err error) {
	alias := k.aws.KMSKey
	tagged, err := s.tagged(ctx, a, k)
	if err != nil {
		return "", false, err
	}
	if arn, err = tagged.of(k, alias); arn != "" || err != nil {
		return arn, false, err
	}
	hour := a.lately()
	for _, c := range slices.Backward(hour) {
		switch wait := lostTime - time.Since(c.at); {
		case c.alias != alias || wait <= 0:
		case c.arn != "":
			return c.arn, false, nil
		default:
			return "", false, notHeard(k, wait)
		}
	}
	if n := max(tagged.recent, len(hour)); n >= s.creations {
		return "", false, &wire.Error{Code: wire.Busy, RetryAfter: time.Hour / 4, Message: fmt.Sprintf(
			"managed key %q: %d keys were made in AWS KMS within an hour, which is as many as hsmd makes", k.name, n)}
	}
	made, err := once(ctx, a, a.make, (*kms.Client).CreateKey, &kms.CreateKeyInput{
		KeySpec: types.KeySpec(specOf(k.aws)), KeyUsage: types.KeyUsageTypeSignVerify,
		Description: aws.String("made by hsmd for managed key " + k.name),
		Tags:        []types.Tag{tag(tagAlias, alias), tag(tagName, k.name), tag(tagID, req.ID)}})
	switch {
	case err == nil && (made.KeyMetadata == nil || made.KeyMetadata.Arn == nil):
		err = k.notKMS("making a key")
	case err == nil:
		arn = *made.KeyMetadata.Arn
		a.note(creation{alias: alias, arn: arn, at: time.Now()})
		s.log.Info("AWS KMS made a key", "key", k.name, "arn", arn, "alias", alias, "request_id", requestID(made.ResultMetadata), "context", shorten(req.Context))
		return arn, true, nil
	case notMade(err):
		return "", false, k.failure("making a key", err)
	}
	s.log.Warn("AWS KMS was asked for a key, and the answer was lost; it is looked for by its tag", "key", k.name, "alias", alias, "error", k.failure("making a key", err))
	a.note(creation{alias: alias, at: time.Now()})
	return s.lookForLost(ctx, a, k)
}

// lookForLost looks for a key of which KMS has not said whether it made it.
func (s *Service) lookForLost(ctx context.Context, a *account, k *key) (string, bool, error) {
	looking, cancel := context.WithTimeout(ctx, lostLook)
	defer cancel()
	for wait := settleStep; ; wait = min(2*wait, settleMost) {
		tagged, err := s.tagged(looking, a, k)
		if err == nil {
			arn, err := tagged.of(k, k.aws.KMSKey)
			if arn != "" || err != nil {
				return arn, arn != "", err
			}
		}
		if !pause(looking, wait) {
			return "", false, notHeard(k, lostTime)
		}
	}
}

// notAround is the failure of what KMS has made and does not show yet.
func notAround(k *key, err error) error {
	if !isUnknown(err) {
		return err
	}
	return &wire.Error{Code: wire.Unavailable, RetryAfter: settleMost, Message: fmt.Sprintf("managed key %q: AWS KMS has made its key, and does not show it yet", k.name)}
}

func notHeard(k *key, wait time.Duration) error {
	return &wire.Error{Code: wire.Unavailable, RetryAfter: min(wait, 10*time.Second),
		Message: fmt.Sprintf("managed key %q: it is not known yet whether AWS KMS made its key; no other is made before that", k.name)}
}

// name gives the key its alias. Where another hsmd was faster, its key is the
// one, and this one is left over.
func (s *Service) name(ctx context.Context, a *account, k *key, arn string) error {
	err := settled(ctx, func() error {
		_, err := ask(ctx, a, a.make, (*kms.Client).CreateAlias, &kms.CreateAliasInput{AliasName: &k.aws.KMSKey, TargetKeyId: &arn})
		if err != nil {
			return errors.Join(k.failure("giving "+arn+" its alias", err), err)
		}
		return nil
	})
	if apiCode(err) != "AlreadyExistsException" {
		return err
	}
	// It may be ours from a try whose answer was lost.
	f, err := s.resolveSettled(ctx, a, k)
	if err == nil && f.arn != arn {
		s.log.Warn("an alias in AWS KMS was taken meanwhile, and the key made for it is left over", "key", k.name, "alias", k.aws.KMSKey, "in_use", f.arn, "left_over", arn)
	}
	return err
}

func (s *Service) resolveSettled(ctx context.Context, a *account, k *key) (f *found, err error) {
	err = settled(ctx, func() error {
		f, err = s.resolve(ctx, a, k, k.aws.KMSKey)
		return err
	})
	return f, err
}

const (
	settleStep = 200 * time.Millisecond
	settleMost = 2 * time.Second
)

// settled does what fails for as long as KMS does not know of what it has made.
func settled(ctx context.Context, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for wait := settleStep; ; wait = min(2*wait, settleMost) {
		err := do()
		if !isUnknown(err) || !pause(ctx, wait) {
			return err
		}
	}
}

// isFresh reports whether hsmd made the key so lately that KMS may not know it.
func (k *key) isFresh() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.made.IsZero() && time.Since(k.made) < settleTime
}

func isUnknown(err error) bool { return errors.Is(err, wire.UnknownKey) }

func tag(name, value string) types.Tag {
	return types.Tag{TagKey: &name, TagValue: aws.String(taggable(value))}
}

// taggable leaves of a text what a tag may hold.
func taggable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x80 && (c == ' ' || strings.ContainsRune("_.:/=+-@", c) || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z') {
			return c
		}
		return '_'
	}, s)
}
