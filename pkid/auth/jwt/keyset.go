package jwt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// maxKeys bounds a set of keys, since a token without a key id is tried
	// with each.
	maxKeys = 64

	// refreshAfter is how old fetched keys become before they are fetched
	// again: as long a key counts that its owner took back.
	refreshAfter = 15 * time.Minute
	// usableFor is how long they go on where that fails.
	usableFor = 24 * time.Hour
	// retryAfter is the least time between two fetches, whatever key ids
	// strangers make up.
	retryAfter = time.Minute
)

// ErrNoKeys is that keys have to be fetched and cannot be: another try may help.
var ErrNoKeys = errors.New("the keys for tokens cannot be fetched")

// parseKeySet reads a JSON Web Key Set (RFC 7517) and drops what cannot verify a
// token: keys of other kinds, for encryption, too short, secret, or private.
func parseKeySet(raw []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, errors.New("it is no JSON Web Key Set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("there are more than %d keys", maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil || key.Use != "" && key.Use != "sig" || checkKey(key.Key) != nil {
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no public key in it that verifies tokens")
	}
	return keys, nil
}

// matching gives the keys with that id, and those without one.
func matching(keys []jose.JSONWebKey, kid string) (out []jose.JSONWebKey) {
	for _, key := range keys {
		if kid == "" || key.KeyID == "" || key.KeyID == kid {
			out = append(out, key)
		}
	}
	return out
}

// fixedKeys are in the configuration.
type fixedKeys []jose.JSONWebKey

func (k fixedKeys) find(_ context.Context, kid string) ([]jose.JSONWebKey, error) {
	return matching(k, kid), nil
}

// fetchedKeys are at a URL. They are fetched when a token needs them, by one
// fetch for all who wait.
type fetchedKeys struct {
	fetch func(context.Context) ([]jose.JSONWebKey, error)
	log   *slog.Logger
	now   func() time.Time

	mu     sync.Mutex
	keys   []jose.JSONWebKey
	got    time.Time     // when
	tried  time.Time     // when the last fetch began
	failed error         // how that ended
	flight chan struct{} // closed when the fetch under way has ended; nil: there is none
}

func (f *fetchedKeys) find(ctx context.Context, kid string) ([]jose.JSONWebKey, error) {
	keys, age := f.have(kid)
	if len(keys) > 0 && age < refreshAfter {
		return keys, nil
	}
	if flight := f.start(); flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		keys, age = f.have(kid)
	}
	if age >= usableFor {
		return nil, f.noKeys()
	}
	return keys, nil
}

// have gives the keys there are for a key id, and their age.
func (f *fetchedKeys) have(kid string) ([]jose.JSONWebKey, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return matching(f.keys, kid), f.now().Sub(f.got)
}

func (f *fetchedKeys) noKeys() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		return ErrNoKeys
	}
	return fmt.Errorf("%w: %w", ErrNoKeys, f.failed)
}

// start joins the fetch under way or begins one; nil, if the last is too young.
func (f *fetchedKeys) start() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.flight == nil {
		if f.now().Sub(f.tried) < retryAfter {
			return nil
		}
		f.tried, f.flight = f.now(), make(chan struct{})
		go f.refresh()
	}
	return f.flight
}

// refresh outlives the request that began it: others wait for it too.
func (f *fetchedKeys) refresh() {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	keys, err := f.fetch(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = err
	if err == nil {
		f.keys, f.got = keys, f.now()
	} else {
		f.log.Warn("keys for tokens cannot be fetched; those from before go on for a day", "error", err)
	}
	close(f.flight)
	f.flight = nil
}
