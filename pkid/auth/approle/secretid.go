package approle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// SecretID is what is known of a secret id, as it is stored.
type SecretID struct {
	ID string `json:"-"` // in clear, where it was just made

	Accessor        string            `json:"accessor"`
	Created         time.Time         `json:"created"`
	Updated         time.Time         `json:"updated"`
	Expires         time.Time         `json:"expires,omitzero"` // zero: never
	TTL             time.Duration     `json:"ttl,omitempty"`
	NumUses         int               `json:"num_uses,omitempty"` // that are left; 0: any number
	Metadata        map[string]string `json:"metadata,omitempty"`
	CIDRs           []netip.Prefix    `json:"cidr_list,omitempty"`
	TokenBoundCIDRs []netip.Prefix    `json:"token_bound_cidrs,omitempty"`

	hash []byte
}

// Show is the answer to looking it up.
func (s *SecretID) Show() map[string]any {
	return map[string]any{
		"secret_id_accessor": s.Accessor, "creation_time": s.Created.Format(time.RFC3339Nano), "last_updated_time": s.Updated.Format(time.RFC3339Nano),
		"expiration_time": s.Expires.Format(time.RFC3339Nano), "secret_id_ttl": int64(s.TTL / time.Second), "secret_id_num_uses": s.NumUses,
		"metadata": s.Metadata, "cidr_list": networks(s.CIDRs), "token_bound_cidrs": networks(s.TokenBoundCIDRs),
	}
}

// MakeSecretID makes a secret id of a role's, or takes the one that the caller
// chose. Its parameters may narrow the role's.
func (m *Method) MakeSecretID(ctx context.Context, name, chosen string, p *vaultapi.Params) (*SecretID, error) {
	if len(chosen) > maxID {
		return nil, vaultapi.BadRequest("secret_id is longer than %d octets", maxID)
	}
	now := m.Now().UTC()
	s := &SecretID{ID: chosen, Accessor: uuid.NewString(), Created: now, Updated: now, Metadata: metadata(p),
		CIDRs: p.Networks("cidr_list"), TokenBoundCIDRs: p.Networks("token_bound_cidrs")}
	if chosen == "" {
		s.ID = uuid.NewString()
	}
	uses, ttl := p.Int("num_uses", -1), p.Duration("ttl", -1)
	if p.Has("num_uses") && uses < 0 {
		return nil, vaultapi.BadRequest("num_uses cannot be negative")
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	return s, m.Store.Update(ctx, func(tx store.Tx) error {
		role, err := m.need(tx, name)
		if err != nil {
			return err
		}
		if err := s.narrow(role, uses, ttl); err != nil {
			return err
		}
		s.hash = role.hash(s.ID)
		switch _, err := tx.Get(m.Space.SecretID(role.ID, s.hash)); {
		case err == nil:
			return vaultapi.BadRequest("SecretID is already registered")
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		err = errors.Join(put(tx, m.Space.SecretID(role.ID, s.hash), s), tx.Put(m.Space.SecretIDAccessor(role.ID, s.Accessor), s.hash))
		if !s.Expires.IsZero() {
			err = errors.Join(err, tx.Put(m.Space.SecretIDsByEnd().Entry(s.Expires, append([]byte(role.ID), s.hash...)), nil))
		}
		return err
	})
}

// narrow takes the limits of the role, or narrower ones that are asked for; -1
// is not asked.
func (s *SecretID) narrow(role *Role, uses int, ttl time.Duration) error {
	if !role.BindSecretID {
		return vaultapi.BadRequest("bind_secret_id is not set on the role")
	}
	if !subset(s.CIDRs, role.SecretIDBoundCIDRs) {
		return vaultapi.BadRequest("cidr_list goes beyond the role's secret_id_bound_cidrs")
	}
	if !subset(s.TokenBoundCIDRs, role.Token.BoundCIDRs) {
		return vaultapi.BadRequest("token_bound_cidrs go beyond the role's")
	}
	s.NumUses, s.TTL = role.SecretIDNumUses, role.SecretIDTTL
	if uses >= 0 {
		if limit := role.SecretIDNumUses; limit > 0 && (uses == 0 || uses > limit) {
			return vaultapi.BadRequest("num_uses cannot be higher than the role's secret_id_num_uses")
		}
		s.NumUses = uses
	}
	if ttl >= 0 {
		if limit := role.SecretIDTTL; limit > 0 && (ttl == 0 || ttl > limit) {
			return vaultapi.BadRequest("ttl cannot be longer than the role's secret_id_ttl")
		}
		s.TTL = ttl
	}
	s.Expires = time.Time{}
	if s.TTL > 0 {
		s.Expires = s.Created.Add(s.TTL)
	}
	return nil
}

// metadata reads a JSON object of texts, be it written as a text, as Vault has
// it, or as it is.
func metadata(p *vaultapi.Params) map[string]string {
	if !p.Has("metadata") {
		return nil
	}
	given := p.Map("metadata")
	out := map[string]string{}
	for name, value := range given {
		text, is := value.(string)
		if !is {
			p.Fail("metadata", "%q is no text", name)
		}
		out[name] = text
	}
	return out
}

// FindSecretID gives a secret id of a role's by itself, nil if there is none.
func (m *Method) FindSecretID(ctx context.Context, name, secretID string) (*SecretID, error) {
	return m.find(ctx, name, func(_ store.Reader, role *Role) ([]byte, error) { return role.hash(secretID), nil })
}

// FindAccessor gives it by its accessor.
func (m *Method) FindAccessor(ctx context.Context, name, accessor string) (*SecretID, error) {
	return m.find(ctx, name, func(r store.Reader, role *Role) ([]byte, error) {
		return r.Get(m.Space.SecretIDAccessor(role.ID, accessor))
	})
}

func (m *Method) find(ctx context.Context, name string, hash func(store.Reader, *Role) ([]byte, error)) (s *SecretID, err error) {
	err = m.Store.View(ctx, func(r store.Reader) error {
		role, err := m.need(r, name)
		if err != nil {
			return err
		}
		under, err := hash(r, role)
		if err != nil {
			return err
		}
		s, err = m.secretID(r, role, under)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return s, err
}

// secretID reads one that has not expired, else it is not found.
func (m *Method) secretID(r store.Reader, role *Role, hash []byte) (*SecretID, error) {
	raw, err := r.Get(m.Space.SecretID(role.ID, hash))
	if err != nil {
		return nil, err
	}
	s := &SecretID{hash: hash}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("a secret id of role %q: %w", role.Name, err)
	}
	if !s.Expires.IsZero() && !m.Now().Before(s.Expires) {
		return nil, store.ErrNotFound
	}
	return s, nil
}

// Accessors lists the accessors of a role's secret ids.
func (m *Method) Accessors(ctx context.Context, name string) (list []string, err error) {
	err = m.Store.View(ctx, func(r store.Reader) error {
		role, err := m.need(r, name)
		if err != nil {
			return err
		}
		list = nil
		start, end := m.Space.SecretIDAccessors(role.ID)
		return r.Scan(start, end, func(key, _ []byte) error {
			list = append(list, string(key[len(start):]))
			return nil
		})
	})
	return list, err
}

// Destroy ends a secret id that was found.
func (m *Method) Destroy(ctx context.Context, name string, s *SecretID) error {
	return m.Store.Update(ctx, func(tx store.Tx) error {
		role, err := m.need(tx, name)
		if err != nil {
			return err
		}
		return m.remove(tx, role.ID, s)
	})
}

// remove deletes a secret id with what leads to it.
func (m *Method) remove(tx store.Tx, role string, s *SecretID) error {
	err := errors.Join(tx.Delete(m.Space.SecretID(role, s.hash)), tx.Delete(m.Space.SecretIDAccessor(role, s.Accessor)))
	if !s.Expires.IsZero() {
		err = errors.Join(err, tx.Delete(m.Space.SecretIDsByEnd().Entry(s.Expires, append([]byte(role), s.hash...))))
	}
	return err
}
