package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// signingEvery is how often health has a key sign, at most, and signingTime how
// long it waits for that.
const (
	signingEvery = time.Minute
	signingTime  = 10 * time.Second
)

// signing is what sys/health?signing=true knows: for each managed key that an
// issuer has, whether it signed when it was last tried.
type signing struct {
	mu    sync.Mutex
	tried map[string]*trial // by the key's name
}

type trial struct {
	at  time.Time
	err error
}

// look tries the keys that were not tried for a while. Whoever asks, also a
// stranger, has a key sign once a minute at most.
func (s *signing) look(ctx context.Context, keys Keys, names []string, now time.Time) (sound bool, each map[string]any) {
	s.mu.Lock() // those who ask meanwhile wait for the same trial
	defer s.mu.Unlock()
	sound, each = true, map[string]any{}
	kept := map[string]*trial{}
	for _, name := range names {
		t := s.tried[name]
		if t == nil || now.Sub(t.at) >= signingEvery {
			t = &trial{now, try(ctx, keys, name)}
		}
		kept[name] = t
		state := "signs"
		switch {
		case errors.Is(t.err, wire.Denied): // hsmd's client block has no "test"
			state = "not tried"
		case t.err != nil:
			state, sound = "does not sign", false
		}
		each[name] = map[string]any{"state": state, "tried": t.at.UTC().Format(time.RFC3339)}
	}
	s.tried = kept
	return sound, each
}

func try(ctx context.Context, keys Keys, name string) error {
	// A client that hangs up must not make the key look broken.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), signingTime)
	defer cancel()
	_, err := keys.Test(ctx, &wire.TestRequest{Key: name, Context: "health"})
	return err
}

// readSigning has the keys of all issuers sign, for sys/health?signing=true. Who
// may not read sys/hsm/status is told whether all is well, and not of which key.
func readSigning(h *Handler, r *request, health map[string]any, status int) (*answer, error) {
	var names []string
	for _, m := range h.Mounts.List() {
		if m.Authority != nil {
			names = append(names, m.Authority.SigningKeys()...)
		}
	}
	sound, each := h.signing.look(r.ctx, h.Keys, names, h.Now())
	health["signing"] = sound
	if asked := (&request{path: "sys/hsm/status", op: read, who: r.who}); may(asked, nil, nil, r.who.acl.Capable) {
		health["signing_keys"] = each
	}
	if !sound {
		status = http.StatusServiceUnavailable
	}
	return &answer{status: status, bare: health}, nil
}

// wantsSigning reports whether health is to try the keys.
func wantsSigning(r *request) bool { return strings.EqualFold(r.params.String("signing"), "true") }
