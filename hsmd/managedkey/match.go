package managedkey

import (
	"fmt"
	"slices"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// NamesSameKey reports whether two definitions say the same key, as far as
// their words tell: on tokens that may be one, the same label or id. Where they
// select by different words only the public keys can tell.
func NamesSameKey(a, b *Key) bool {
	for _, p := range a.Places() {
		if slices.ContainsFunc(b.Places(), func(q *Key) bool { return samePlace(p, q) }) {
			return true
		}
	}
	return false
}

func samePlace(a, b *Key) bool {
	if sameInAWSKMS(a.Definition.AWSKMS, b.Definition.AWSKMS) {
		return true
	}
	p, q := a.Definition.PKCS11, b.Definition.PKCS11
	if p == nil || q == nil || !sameLibrary(a, b) || !maybeSameToken(p, q) {
		return false
	}
	if differ(p.KeyLabel, q.KeyLabel) || differ(p.KeyID, q.KeyID) {
		return false
	}
	return p.KeyLabel != "" && p.KeyLabel == q.KeyLabel || p.KeyID != "" && p.KeyID == q.KeyID
}

// MaybeSameToken reports whether two definitions may be of one token.
func MaybeSameToken(a, b *Key) bool {
	p, q := a.Definition.PKCS11, b.Definition.PKCS11
	return p != nil && q != nil && sameLibrary(a, b) && maybeSameToken(p, q)
}

func sameLibrary(a, b *Key) bool {
	return a.Library != nil && b.Library != nil && a.Library.SameFile(b.Library)
}

func maybeSameToken(p, q *wire.PKCS11Definition) bool {
	if p.Slot != nil && q.Slot != nil && *p.Slot != *q.Slot {
		return false
	}
	return !differ(p.TokenLabel, q.TokenLabel) && !differ(p.TokenSerial, q.TokenSerial)
}

func differ(a, b string) bool { return a != "" && b != "" && a != b }

// SameToken reports whether two definitions select their tokens, or regions of
// AWS KMS, by the same words.
func SameToken(a, b *Key) bool {
	p, q := a.Definition.PKCS11, b.Definition.PKCS11
	if p == nil || q == nil {
		r, s := a.Definition.AWSKMS, b.Definition.AWSKMS
		return r != nil && s != nil && r.Region == s.Region && r.Endpoint == s.Endpoint
	}
	return p.TokenLabel == q.TokenLabel && p.TokenSerial == q.TokenSerial && sameSlot(p.Slot, q.Slot)
}

// ResolveToken finds the one token that a definition selects among those that
// its library shows.
func ResolveToken(p *wire.PKCS11Definition, tokens []wire.TokenStatus) (*wire.TokenStatus, error) {
	var found *wire.TokenStatus
	for i := range tokens {
		if !selects(p, &tokens[i]) {
			continue
		}
		if found != nil {
			return nil, wire.Errorf(wire.Invalid, "library %q shows more than one token with %s", p.Library, p.Selector())
		}
		found = &tokens[i]
	}
	if found == nil {
		return nil, &wire.Error{Code: wire.Unavailable, RetryAfter: time.Second, // it may be away
			Message: fmt.Sprintf("library %q shows no token with %s", p.Library, p.Selector())}
	}
	return found, nil
}

// Shown reports whether a token that a definition selects is among those that
// its library shows.
func Shown(p *wire.PKCS11Definition, tokens []wire.TokenStatus) bool {
	return slices.ContainsFunc(tokens, func(t wire.TokenStatus) bool { return selects(p, &t) })
}

func selects(p *wire.PKCS11Definition, t *wire.TokenStatus) bool {
	return (p.Slot == nil || *p.Slot == t.Slot) && (p.TokenLabel == "" || p.TokenLabel == t.Label) && (p.TokenSerial == "" || p.TokenSerial == t.Serial)
}
