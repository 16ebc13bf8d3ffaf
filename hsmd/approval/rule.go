package approval

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Approver is a person with the keys that speak for him.
type Approver struct {
	Name string
	Keys []Key
}

// Key is one key of an approver's. Verified says that a security key has to ask
// for a PIN or a finger, too (verify-required).
type Key struct {
	ssh.PublicKey
	Verified bool
}

// minRSA is how many bits an approver's RSA key has at least.
const minRSA = 2048

// NewApprover reads the keys of a person, lines as in authorized_keys, of whose
// options verify-required is known.
func NewApprover(name string, lines []string) (*Approver, error) {
	a := &Approver{Name: name}
	for _, line := range lines {
		key, err := parseKey(line)
		if err != nil {
			return nil, fmt.Errorf("approver %q: key %q: %w", name, line, err)
		}
		a.Keys = append(a.Keys, key)
	}
	if len(a.Keys) == 0 {
		return nil, fmt.Errorf("approver %q has no keys", name)
	}
	return a, nil
}

func parseKey(line string) (Key, error) {
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return Key{}, fmt.Errorf("it is no SSH public key: %w", err)
	}
	if len(strings.TrimSpace(string(rest))) > 0 {
		return Key{}, errors.New("it is more than one line")
	}
	if algorithms[key.Type()] == nil {
		return Key{}, fmt.Errorf("a key of type %q cannot approve", key.Type())
	}
	if public, is := key.(ssh.CryptoPublicKey); is {
		if rsaKey, is := public.CryptoPublicKey().(*rsa.PublicKey); is && rsaKey.N.BitLen() < minRSA {
			return Key{}, fmt.Errorf("an RSA key of %d bits; at least %d are asked for", rsaKey.N.BitLen(), minRSA)
		}
	}
	k := Key{PublicKey: key}
	for _, option := range options {
		if option != "verify-required" || !strings.HasPrefix(key.Type(), "sk-") {
			return Key{}, fmt.Errorf("option %q: only verify-required is known, of security keys", option)
		}
		k.Verified = true
	}
	return k, nil
}

// Rule says what of a key's signatures has to be approved, and by whom.
type Rule struct {
	Quorum    int // how many people
	Approvers []*Approver
	Kinds     []string      // of messages; none: all that the key may sign
	Wait      time.Duration // how long a request waits, and then may be repeated
}

// NewRule checks a rule.
func NewRule(r Rule) (*Rule, error) {
	seen := map[string]string{}
	for _, a := range r.Approvers {
		for _, key := range a.Keys {
			if other, taken := seen[string(key.Marshal())]; taken {
				return nil, fmt.Errorf("approvers %q and %q have the same key: one person would count as two", other, a.Name)
			}
			seen[string(key.Marshal())] = a.Name
		}
	}
	switch {
	case r.Quorum < 1:
		return nil, errors.New("quorum: must be at least 1")
	case r.Quorum > len(r.Approvers):
		return nil, fmt.Errorf("quorum: %d people are asked for, and there are %d approvers", r.Quorum, len(r.Approvers))
	case r.Wait <= 0:
		return nil, errors.New("expires: must be longer than nothing")
	}
	return &r, nil
}

// Needs reports whether messages of a kind have to be approved.
func (r *Rule) Needs(kind string) bool {
	return r != nil && (len(r.Kinds) == 0 || slices.Contains(r.Kinds, kind))
}

// who gives the name of the approver who signed, "" for somebody else.
func (r *Rule) who(by *Signer) string {
	for _, a := range r.Approvers {
		for _, k := range a.Keys {
			if string(k.Marshal()) == string(by.Marshal()) && (by.Verified || !k.Verified) {
				return a.Name
			}
		}
	}
	return ""
}

// given lists in order who of the approvers has approved a text, by signatures
// that are checked anew: a person who is no approver any more does not count.
func (r *Rule) given(text string, signatures []string) (names []string) {
	for _, s := range signatures {
		by, err := VerifySSH(s, []byte(text))
		if err != nil {
			continue
		}
		if name := r.who(by); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
