// Package token is Vault's tokens: what a caller shows instead of a password,
// with policies, an end, and a parent with which it is revoked. It knows
// nothing of HTTP, nor of what the policies say.
//
// A token is stored under a keyed hash of its id; the id itself is given once,
// by [Store.Create], and kept nowhere. A token lives while it has not ended,
// neither by time nor by revocation, and all whom it descends from live. So one
// write revokes a tree of any size at once, and what is left of it is deleted
// afterwards, also after a crash (sweep.go).
//
// Start at [Store.Create] and [Store.Lookup].
package token

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/identity"
)

// ErrNotFound is of a token that is not, whatever the cause: it never was, has
// ended, or was revoked.
var ErrNotFound = errors.New("token not found")

// ErrExists is that a chosen id is in use.
var ErrExists = errors.New("cannot create a token with a duplicate ID")

// ErrNotRenewable is of a token whose end cannot be put off.
var ErrNotRenewable = errors.New("lease is not renewable")

// ErrPastMaxTTL is of a token that has lived as long as it may.
var ErrPastMaxTTL = errors.New("past the max TTL, cannot renew")

// ErrTooDeep is that a token's line of parents has become too long: each of
// them is looked up with the token.
var ErrTooDeep = errors.New("too many generations of tokens: make it an orphan")

// ErrTooLarge is of a token with more metadata, policies or whatever than should
// be read for each request.
var ErrTooLarge = errors.New("a token of more than 64 KiB")

// ErrRootByLogin is of a login that would end in the root policy: who may write
// a login's role would be root.
var ErrRootByLogin = errors.New("auth methods cannot create root tokens")

// maxSize bounds a token as it is stored, in octets.
const maxSize = 64 << 10

// rootPolicy is the policy that alone makes a token that does not end.
const rootPolicy = "root"

// Token is what is known of one. Its fields are what is stored, but for those
// without a name in JSON.
type Token struct {
	ID       string   `json:"-"` // in clear, where the caller showed it or it was just made
	Warnings []string `json:"-"` // of Create and Renew: what was not given as it was asked for

	Accessor    string            `json:"accessor"`
	Policies    []string          `json:"policies"`
	DisplayName string            `json:"display_name"`
	Meta        map[string]string `json:"meta,omitempty"`
	Alias       *identity.Alias   `json:"alias,omitempty"` // nil: no login is behind it
	Path        string            `json:"path"`
	Role        string            `json:"role,omitempty"`
	BoundCIDRs  []netip.Prefix    `json:"bound_cidrs,omitempty"`

	Created        time.Time     `json:"created"`
	Expires        time.Time     `json:"expires,omitzero"` // zero: never
	LastRenewal    time.Time     `json:"last_renewal,omitzero"`
	TTL            time.Duration `json:"ttl"`               // from the creation; 0: it does not end
	MaxTTL         time.Duration `json:"max_ttl,omitempty"` // of the whole life, of the mount's or the login's making; 0: the system's
	ExplicitMaxTTL time.Duration `json:"explicit_max_ttl,omitempty"`
	Period         time.Duration `json:"period,omitempty"`
	Renewable      bool          `json:"renewable"`
	NumUses        int           `json:"num_uses,omitempty"` // that are left; 0: any number; -1: this was the last

	Parent []byte `json:"parent,omitempty"` // its hash; none: an orphan
	Depth  int    `json:"depth,omitempty"`  // how many parents there were in line
	Ended  end    `json:"ended,omitempty"`

	hash []byte
}

// Orphan reports whether no other token's end is this one's.
func (t *Token) Orphan() bool { return len(t.Parent) == 0 }

// Left is how long the token has still to live, in whole seconds; 0 if it does
// not end.
func (t *Token) Left(now time.Time) time.Duration {
	if t.Expires.IsZero() {
		return 0
	}
	return max(0, t.Expires.Sub(now)).Truncate(time.Second)
}

// Granted is how long the token was to live when it was made or last renewed, 0
// if it does not end.
func (t *Token) Granted() time.Duration {
	from := t.Created
	if !t.LastRenewal.IsZero() {
		from = t.LastRenewal
	}
	if t.Expires.IsZero() {
		return 0
	}
	return t.Expires.Sub(from)
}

// From reports whether the token may be used from an address, the zero one
// being that of a Unix socket.
func (t *Token) From(addr netip.Addr) bool {
	if len(t.BoundCIDRs) == 0 {
		return true
	}
	addr = addr.Unmap().WithZone("")
	return addr.IsValid() && slices.ContainsFunc(t.BoundCIDRs, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Is reports whether two are the same token.
func (t *Token) Is(other *Token) bool { return bytes.Equal(t.hash, other.hash) }

// Spec is a token to be made.
type Spec struct {
	ID              string // chosen by the caller; "": as random as it gets
	Policies        []string
	NoDefaultPolicy bool // else the policy "default" is added
	DisplayName     string
	Meta            map[string]string
	Alias           *identity.Alias // of a login; nil: the parent's
	Path            string          // where it is made, which is what revokes it by path: "auth/approle/login"
	Role            string
	Parent          *Token // nil: an orphan
	BoundCIDRs      []netip.Prefix

	TTL            time.Duration // 0: the default, or no end for a token with the root policy
	MaxTTL         time.Duration // of the whole life, if it is shorter than the system's; 0: the system's
	ExplicitMaxTTL time.Duration // the same, and of a periodic token too
	Period         time.Duration // each renewal gives this much, and the life has no maximum but ExplicitMaxTTL
	NotRenewable   bool
	NumUses        int // 0: any number
}

// newID makes an id in the form of Vault's, by which scanners for secrets know
// it, of 576 random bits.
func newID() string {
	random := make([]byte, 72)
	rand.Read(random) // never fails
	return "hvs." + base64.RawURLEncoding.EncodeToString(random)
}

// SortPolicies gives names of policies as they are kept: in small letters, in
// order, each once. Beside root there is no other.
func SortPolicies(names []string, andDefault bool) []string {
	if andDefault {
		names = append([]string{"default"}, names...)
	}
	out := SortNames(names)
	if slices.Contains(out, rootPolicy) {
		return []string{rootPolicy}
	}
	return out
}

// SortNames gives names, or patterns of names, in small letters, in order, each
// once.
func SortNames(names []string) (out []string) {
	for _, name := range names {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
