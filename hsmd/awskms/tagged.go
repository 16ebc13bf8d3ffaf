package awskms

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/hsmpki/hsmpki/wire"
)

// tagged are the keys of an account that hsmd made.
type tagged struct {
	byAlias map[string][]string // ARNs of those that are enabled
	recent  int                 // made within the last hour, enabled or not
}

// of gives the one key that was made for an alias, if there is one.
func (t *tagged) of(k *key, alias string) (string, error) {
	switch arns := t.byAlias[alias]; len(arns) {
	case 0:
		return "", nil
	case 1:
		return arns[0], nil
	default:
		return "", wire.Errorf(wire.Invalid, "managed key %q: AWS KMS has %d keys that were made for %s, and the alias is none's: give it to the one that is meant (%s)",
			k.name, len(arns), alias, strings.Join(arns, ", "))
	}
}

// lookers is how many keys are asked about at a time.
const lookers = 8

// tagged lists the account's keys for those with hsmd's tag. This is done before
// a key is made, and at no other time; a key that turned out to be somebody
// else's is not asked about again. Keys that may not be looked at are passed over,
// and asked about the next time: hsmd may have got the right to by then.
func (s *Service) tagged(ctx context.Context, a *account, k *key) (*tagged, error) {
	all := &tagged{byAlias: map[string][]string{}}
	var mu sync.Mutex
	var failed error
	var looking sync.WaitGroup
	slots := make(chan struct{}, lookers)
	defer looking.Wait()
	for marker := (*string)(nil); ; {
		page, err := ask(ctx, a, a.reading, (*kms.Client).ListKeys, &kms.ListKeysInput{Limit: aws.Int32(1000), Marker: marker})
		if err != nil {
			return nil, k.failure("listing keys", err)
		}
		for _, entry := range page.Keys {
			arn := aws.ToString(entry.KeyArn)
			if arn == "" || a.isOthers(arn) {
				continue
			}
			slots <- struct{}{}
			looking.Go(func() {
				defer func() { <-slots }()
				alias, state, created, err := s.tagOf(ctx, a, k, arn)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					failed = err
				case alias == "":
				default:
					if state == types.KeyStateEnabled {
						all.byAlias[alias] = append(all.byAlias[alias], arn)
					}
					if time.Since(created) < time.Hour {
						all.recent++
					}
				}
			})
		}
		if !page.Truncated || page.NextMarker == nil {
			break
		}
		marker = page.NextMarker
	}
	looking.Wait()
	if failed != nil {
		return nil, k.failure("looking for keys that hsmd made", failed)
	}
	return all, nil
}

// tagOf gives the alias that a key was made for, empty for none, and how the key
// is.
func (s *Service) tagOf(ctx context.Context, a *account, k *key, arn string) (alias string, state types.KeyState, created time.Time, err error) {
	tags, err := ask(ctx, a, a.reading, (*kms.Client).ListResourceTags, &kms.ListResourceTagsInput{KeyId: &arn})
	if code := apiCode(err); code == "AccessDeniedException" || code == "NotFoundException" {
		return "", "", created, nil
	}
	if err != nil {
		return "", "", created, err
	}
	for _, t := range tags.Tags {
		if aws.ToString(t.TagKey) == tagAlias {
			alias = aws.ToString(t.TagValue)
		}
	}
	if alias == "" {
		a.setOthers(arn)
		return "", "", created, nil
	}
	d, err := ask(ctx, a, a.reading, (*kms.Client).DescribeKey, &kms.DescribeKeyInput{KeyId: &arn})
	if err != nil {
		return "", "", created, err
	}
	if d.KeyMetadata == nil {
		return "", "", created, k.notKMS("looking for " + arn)
	}
	return alias, d.KeyMetadata.KeyState, aws.ToTime(d.KeyMetadata.CreationDate), nil
}

// creation is a key that KMS was asked to make, and may not show yet.
type creation struct {
	alias, arn string // no ARN: the answer was lost
	at         time.Time
}

// lately are those of the last hour, the oldest first.
func (a *account) lately() []creation {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = slices.DeleteFunc(a.asked, func(c creation) bool { return time.Since(c.at) >= time.Hour })
	return slices.Clone(a.asked)
}

func (a *account) note(c creation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, c)
}

func (a *account) isOthers(arn string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.other[arn]
}

func (a *account) setOthers(arn string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.other[arn] = true
}
