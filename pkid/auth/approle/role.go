package approle

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/auth/tokenparams"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Role is what one logs in as, and what he gets: auth/<path>/role/<name>, as it
// is stored.
type Role struct {
	ID     string `json:"id"` // what its secret ids lie under, never given to another
	Name   string `json:"name"`
	RoleID string `json:"role_id"`

	BindSecretID       bool           `json:"bind_secret_id"`
	SecretIDBoundCIDRs []netip.Prefix `json:"secret_id_bound_cidrs,omitempty"`
	SecretIDNumUses    int            `json:"secret_id_num_uses,omitempty"` // 0: any number
	SecretIDTTL        time.Duration  `json:"secret_id_ttl,omitempty"`      // 0: no end
	LocalSecretIDs     bool           `json:"local_secret_ids,omitempty"`

	Token tokenparams.Params `json:"token"`
}

// apply overwrites the fields that are given, as Vault's write does, and checks
// the result.
func (r *Role) apply(p *vaultapi.Params, fresh bool) error {
	if p.Has("role_id") {
		r.RoleID = p.String("role_id")
	}
	r.BindSecretID = p.Bool("bind_secret_id", r.BindSecretID)
	for _, name := range []string{"bound_cidr_list", "secret_id_bound_cidrs"} { // the first is the older name
		if p.Present(name) {
			r.SecretIDBoundCIDRs = p.Networks(name)
		}
	}
	if p.Present("secret_id_num_uses") {
		r.SecretIDNumUses = p.Int("secret_id_num_uses", 0)
	}
	if p.Present("secret_id_ttl") {
		r.SecretIDTTL = p.Duration("secret_id_ttl", 0)
	}
	if local := p.Bool("local_secret_ids", r.LocalSecretIDs); local != r.LocalSecretIDs {
		if !fresh {
			return vaultapi.BadRequest("local_secret_ids can only be modified during role creation")
		}
		r.LocalSecretIDs = local
	}
	if err := r.Token.Apply(p); err != nil { // with the errors of all these
		return err
	}
	return r.check()
}

func (r *Role) check() error {
	switch {
	case !r.BindSecretID && len(r.SecretIDBoundCIDRs) == 0 && len(r.Token.BoundCIDRs) == 0:
		return vaultapi.BadRequest("at least one constraint should be enabled on the role")
	case r.SecretIDNumUses < 0:
		return vaultapi.BadRequest("secret_id_num_uses cannot be negative")
	case r.RoleID == "" || len(r.RoleID) > maxID || strings.ContainsFunc(r.RoleID, func(c rune) bool { return c < ' ' }):
		return vaultapi.BadRequest("role_id must have 1 to %d characters that can be printed", maxID)
	}
	return nil
}

// Show is the answer to reading the role.
func (r *Role) Show() map[string]any {
	data := map[string]any{
		"bind_secret_id": r.BindSecretID, "secret_id_bound_cidrs": networks(r.SecretIDBoundCIDRs), "secret_id_num_uses": r.SecretIDNumUses,
		"secret_id_ttl": int64(r.SecretIDTTL / time.Second), "local_secret_ids": r.LocalSecretIDs,
	}
	r.Token.Show(data)
	return data
}

// hash is what a secret id of the role's lies under.
func (r *Role) hash(secretID string) []byte {
	h := hmac.New(sha256.New, []byte(r.ID))
	h.Write([]byte(secretID))
	return h.Sum(nil)
}

// networks are networks as an answer has them: null for none, as in Vault.
func networks(list []netip.Prefix) any {
	if len(list) == 0 {
		return nil
	}
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = n.String()
	}
	return texts
}

// within reports whether an address is in one of the networks, or there are
// none. The zero address, of a Unix socket, is in no network.
func within(list []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return len(list) == 0 || slices.ContainsFunc(list, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// subset reports whether each of the networks is in one of the others, where
// there are others.
func subset(list, of []netip.Prefix) bool {
	return len(of) == 0 || !slices.ContainsFunc(list, func(n netip.Prefix) bool {
		return !slices.ContainsFunc(of, func(o netip.Prefix) bool { return o.Bits() <= n.Bits() && o.Contains(n.Addr()) })
	})
}
