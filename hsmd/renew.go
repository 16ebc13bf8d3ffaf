package main

import (
	"cmp"
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/server"
	"github.com/hsmpki/hsmpki/hsmd/worker"
	"github.com/hsmpki/hsmpki/wire"
)

// renewal is why a library gets a new worker in place of one that runs.
type renewal struct {
	reason string
	// optional: the old worker goes on where the new one is not as good. It is
	// not where the file asks for what the old one cannot give.
	optional bool
}

var (
	newStanza   = renewal{reason: "its stanza changed"}
	newLogin    = renewal{reason: "a PIN or login changed"}
	newSecret   = renewal{reason: "a secret comes from another variable of the environment"}
	newFile     = renewal{reason: "its file was replaced", optional: true}
	unseenToken = renewal{reason: "a definition names a token that the worker does not show", optional: true}
)

// renew gives new workers to libraries whose stanzas are of the same process as
// before, and whose process will not do. They are started when they are first
// asked.
func (r *reloading) renew(state *server.State) (any bool) {
	for i, l := range state.Libraries {
		if !runsIn(r.now, l.Backend) || slices.Contains(r.kept, l.Backend) {
			continue
		}
		// Another stanza of the same process may have been here first.
		fresh := r.workers.Library(loaded(&r.cfg.Libraries[i]))
		if why, found := r.outgrown(l, state); found && fresh == l.Backend {
			fresh = r.workers.Renew(loaded(&r.cfg.Libraries[i]))
			r.renewed[fresh] = why
		}
		any = any || fresh != l.Backend
	}
	return any
}

// runsIn reports whether a worker is one of a state's.
func runsIn(state *server.State, backend wire.Service) bool {
	return slices.ContainsFunc(state.Libraries, func(l *managedkey.Library) bool { return l.Backend == backend })
}

// outgrown says why a worker that could be left alone cannot be.
func (r *reloading) outgrown(l *managedkey.Library, state *server.State) (renewal, bool) {
	if old := managedkey.FindLibrary(r.now.Libraries, l.Name); old != nil && old.Backend == l.Backend &&
		(old.Path != l.Path || old.MaxSessions != l.MaxSessions) {
		return newStanza, true
	}
	seen := r.views[l.Backend]
	if r.loginChanged(l.Backend, state, seen) {
		return newLogin, true
	}
	if seen.err == nil {
		for _, d := range definitions(state, l.Backend) {
			if !managedkey.Shown(d.PKCS11Definition, seen.tokens) {
				return unseenToken, true
			}
		}
	}
	return renewal{}, false
}

// loginChanged reports whether the file has a login for a token that the worker,
// as far as can be told, is not logged in with. Where the worker does not show
// its tokens, they count as one.
func (r *reloading) loginChanged(backend wire.Service, state *server.State, seen view) bool {
	if seen.err != nil {
		seen.tokens = []wire.TokenStatus{{}}
	}
	for i := range seen.tokens {
		on := func(d definition) bool {
			if seen.err != nil {
				return true
			}
			t, err := managedkey.ResolveToken(d.PKCS11Definition, seen.tokens)
			return err == nil && t == &seen.tokens[i]
		}
		var before, inFile []login
		for _, d := range definitions(r.now, backend) {
			if on(d) {
				before = append(before, d.login())
			}
			if on(d) && d.source != wire.SourceWire {
				inFile = append(inFile, d.login())
			}
		}
		for _, d := range definitions(state, backend) {
			l := d.login()
			other := func(b login) bool { return b != l }
			if d.source != wire.SourceWire && on(d) && !slices.Contains(inFile, l) && slices.ContainsFunc(before, other) {
				return true
			}
		}
	}
	return false
}

// definition is one that names a token, and who gave it.
type definition struct {
	*wire.PKCS11Definition
	source wire.Source
}

// login is who logs in to a token, and with what.
type login struct{ user, pin string }

func (d definition) login() login {
	switch d.Login {
	case config.LoginUser, config.LoginContextSpecific: // the latter logs in once more for each signature
		return login{"", d.PIN}
	}
	return login{d.Login, d.PIN}
}

// definitions are a state's that a worker answers for: those of its keys, and
// the token of internal_keys, which may have none yet.
func definitions(state *server.State, backend wire.Service) []definition {
	var all []definition
	for _, k := range state.Keys.All() {
		for _, place := range k.Places() {
			if place.Library != nil && place.Library.Backend == backend {
				all = append(all, definition{place.Definition.PKCS11, k.Source})
			}
		}
	}
	if state.Internal != nil {
		token := state.Internal.Token()
		if l := managedkey.FindLibrary(state.Libraries, token.Library); l != nil && l.Backend == backend {
			all = append(all, definition{token, wire.SourceInternal})
		}
	}
	return all
}

// view is what a worker shows of its tokens.
type view struct {
	tokens []wire.TokenStatus
	err    error
}

// away reports whether there was no answer, be it for now.
func (v view) away() bool {
	return errors.Is(v.err, wire.Unavailable) || errors.Is(v.err, context.DeadlineExceeded)
}

// lookTime is how long workers are waited for.
const lookTime = 10 * time.Second

// look asks each worker once for its tokens, all at a time. Those that are not
// running are started.
func (r *reloading) look(ctx context.Context, state *server.State) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	unseen := map[wire.Service]bool{}
	for _, l := range state.Libraries {
		if _, seen := r.views[l.Backend]; !seen {
			unseen[l.Backend] = true
		}
	}
	var mu sync.Mutex // over r.views
	var looking sync.WaitGroup
	for backend := range unseen {
		looking.Go(func() {
			seen := viewOf(backend.Status(ctx, &wire.StatusRequest{}))
			mu.Lock()
			defer mu.Unlock()
			r.views[backend] = seen
		})
	}
	looking.Wait()
}

func viewOf(status *wire.StatusResponse, err error) view {
	if err != nil {
		return view{err: err}
	}
	var seen view
	for _, l := range status.Libraries {
		seen.tokens = append(seen.tokens, l.Tokens...)
		seen.err = cmp.Or(seen.err, l.Fault.Err())
	}
	return seen
}

// difference is why a library has another process than the stanza of its name
// had before, where [reloading.renew] did not say so.
func (r *reloading) difference(c *config.Library) renewal {
	for _, old := range r.h.cfg.Libraries {
		secrets := old.Withheld
		old.Place, old.Withheld = c.Place, c.Withheld
		switch same := reflect.DeepEqual(old, *c); {
		case same && slices.Equal(secrets, c.Withheld):
			return newFile
		case same:
			return newSecret
		}
	}
	return newStanza
}

// keep has a library go on with its old worker.
func (r *reloading) keep(c *config.Library, old wire.Service) {
	p, ok := old.(*worker.Process)
	if !ok {
		return
	}
	r.workers.Keep(loaded(c), p)
	r.kept = append(r.kept, old)
}
