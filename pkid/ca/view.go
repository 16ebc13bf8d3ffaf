package ca

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/hsmpki/hsmpki/pkid/chain"
	"github.com/hsmpki/hsmpki/pkid/crl"
	"github.com/hsmpki/hsmpki/pkid/lint"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// view is everything of a mount that issuing needs. It is not changed once it
// is in use.
type view struct {
	settings settings
	issuers  map[string]*Issuer
	keys     map[string]*Key
	roles    map[string]*role.Role

	chained string // the arrangement that the issuers' chains are built for

	since time.Time // when it became visible
}

// settings is what pki/<uuid>/settings holds.
type settings struct {
	DefaultIssuer              string        `json:"default_issuer"`
	DefaultFollowsLatestIssuer bool          `json:"default_follows_latest_issuer"`
	DefaultKey                 string        `json:"default_key"`
	URLs                       URLs          `json:"urls"`
	CRL                        crl.Config    `json:"crl"`
	Cluster                    Cluster       `json:"cluster"`
	Lint                       lint.Settings `json:"lint"`
}

func readView(r store.Reader, space store.Keyspace, b *chain.Builder) (*view, error) {
	v := &view{issuers: map[string]*Issuer{}, keys: map[string]*Key{}, roles: map[string]*role.Role{}}
	v.settings.CRL = crl.DefaultConfig() // what is not stored
	raw, err := r.Get(space.Settings())
	if err == nil {
		err = json.Unmarshal(raw, &v.settings)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("settings: %w", err)
	}
	start, end := space.Keys()
	err = r.Scan(start, end, func(name, value []byte) error {
		k, err := decodeKey(value)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		v.keys[k.ID] = k
		return nil
	})
	if err != nil {
		return nil, err
	}
	start, end = space.Issuers()
	err = r.Scan(start, end, func(name, value []byte) error {
		i, err := decodeIssuer(value)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		v.issuers[i.ID] = i
		return nil
	})
	if err != nil {
		return nil, err
	}
	start, end = space.Roles()
	prefix := len(start)
	err = r.Scan(start, end, func(name, value []byte) error {
		decoded, err := role.Decode(value)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		v.roles[string(name[prefix:])] = decoded
		return nil
	})
	if err != nil {
		return nil, err
	}
	v.settle(b)
	return v, nil
}

func (v *view) clone() *view {
	return &view{settings: v.settings.clone(), issuers: maps.Clone(v.issuers), keys: maps.Clone(v.keys), roles: maps.Clone(v.roles), chained: v.chained}
}

func (s settings) clone() settings {
	s.URLs = s.URLs.clone()
	return s
}

// putSettings writes the settings of a view that is being prepared.
func (v *view) putSettings(tx store.Tx, space store.Keyspace) error {
	raw, err := json.Marshal(v.settings)
	if err != nil {
		return err
	}
	return tx.Put(space.Settings(), raw)
}
