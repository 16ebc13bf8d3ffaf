package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/server"
	"github.com/hsmpki/hsmpki/wire"
)

// try has the new workers show their tokens, and looks for each key that the
// file defines anew, or that a new worker has to find. again says that a worker
// was no better than the one that it would replace, which goes on. An error is
// a fault of the file, with its place.
func (r *reloading) try(ctx context.Context, state *server.State) (again bool, err error) {
	tried := map[wire.Service]bool{}
	var faults []error
	for i, l := range state.Libraries {
		if runsIn(r.now, l.Backend) || tried[l.Backend] {
			continue
		}
		tried[l.Backend] = true
		kept, err := r.tryWorker(&r.cfg.Libraries[i], l, state)
		if kept {
			return true, nil
		}
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return false, err
	}
	return r.tryKeys(ctx, state)
}

// tryWorker judges a new worker, against the old one if there is one.
func (r *reloading) tryWorker(c *config.Library, l *managedkey.Library, state *server.State) (kept bool, err error) {
	seen, old := r.views[l.Backend], managedkey.FindLibrary(r.now.Libraries, l.Name)
	if old == nil {
		switch {
		case seen.away():
			r.h.log.Warn("a new library does not answer yet", "library", c.Name)
		case seen.err != nil:
			return false, c.Place.Errorf("library", "kms_library %q: %s", c.Name, wire.AsError(seen.err).Message)
		}
		return false, nil
	}
	why, ok := r.renewed[l.Backend]
	if !ok {
		why = r.difference(c)
		r.renewed[l.Backend] = why
	}
	switch {
	case seen.err != nil && !why.optional:
		return false, c.Place.Errorf("library", "kms_library %q: its new worker is of no use: %s", c.Name, wire.AsError(seen.err).Message)
	case seen.err != nil:
		r.h.log.Error("the new worker of a library is of no use, the old one stays", "library", c.Name, "why_new", why.reason, "error", seen.err)
	case why == unseenToken && !r.showsMore(l, old, state):
		r.h.log.Warn("a definition names a token that its library does not show", "library", c.Name)
	default:
		return false, nil
	}
	r.keep(c, old.Backend)
	return true, nil
}

// showsMore reports whether a definition finds its token that did not.
func (r *reloading) showsMore(l, old *managedkey.Library, state *server.State) bool {
	return slices.ContainsFunc(definitions(state, l.Backend), func(d definition) bool {
		return managedkey.Shown(d.PKCS11Definition, r.views[l.Backend].tokens) && !managedkey.Shown(d.PKCS11Definition, r.views[old.Backend].tokens)
	})
}

// maxTries bounds how many keys are looked for at a time.
const maxTries = 8

// tryKeys logs in for the keys that are not in force yet, and looks for them.
// Those that came over the wire wait for their use: PINs of the file go first.
func (r *reloading) tryKeys(ctx context.Context, state *server.State) (again bool, err error) {
	var keys []*managedkey.Key
	for _, k := range state.Keys.All() {
		if k.Source != wire.SourceWire && k.Library != nil && r.now.Keys.Lookup(k.Name()) != k {
			keys = append(keys, k)
		}
	}
	r.tried = append(r.tried, keys...)
	found := make([]error, len(keys)) // why not
	var looking sync.WaitGroup
	slots := make(chan struct{}, maxTries)
	for i, k := range keys {
		if found[i] = r.away(k); found[i] != nil {
			continue
		}
		slots <- struct{}{}
		looking.Go(func() {
			defer func() { <-slots }()
			found[i] = r.h.srv.Find(ctx, k)
		})
	}
	looking.Wait()
	var faults []error
	for i, k := range keys {
		for n, place := range k.Places() {
			err := found[i]
			if err == nil && k.Copies != nil {
				if away := k.Copies[n].Away(); away != nil {
					err = away.Err
				}
			}
			if err == nil {
				continue
			}
			if kept, fault := r.judge(k, n, place, err); kept {
				return true, nil
			} else if fault != nil {
				faults = append(faults, fault)
			}
		}
	}
	return false, errors.Join(faults...)
}

// judge says what comes of it that a key was not found in one of its places: the
// old worker is kept, or it is a fault of the file, or neither.
func (r *reloading) judge(k *managedkey.Key, n int, place *managedkey.Key, err error) (kept bool, fault error) {
	was := r.before(place)
	known := was != nil && was.Public() != nil
	why, renewed := r.renewed[place.Library.Backend]
	switch lost := known && renewed; {
	case lost && why.optional:
		r.h.log.Error("the new worker of a library does not find a key, the old one stays", "library", place.Library.Name, "key", k.Name(), "error", err)
		r.keep(r.stanza(place.Library), was.Library.Backend)
		return true, nil
	case errors.Is(err, wire.LoginRefused) && place.Definition.AWSKMS != nil && place.Definition.AWSKMS.AccessKey == "":
		r.h.log.Warn("a managed key cannot be used yet: hsmd's credentials are refused", "key", k.Name(), "error", err)
	case errors.Is(err, wire.LoginRefused) && (was == nil || known || !managedkey.SameDefinition(place, was)):
		attr := "pin"
		if place.Definition.AWSKMS != nil {
			attr = "secret_key"
		}
		return false, r.place(k, n).Errorf(attr, "%s", wire.AsError(err).Message)
	case errors.Is(err, wire.UnknownKey):
	case lost:
		return false, r.place(k, n).Errorf("", "managed key %q is lost with the new worker of its library (%s): %s", k.Name(), why.reason, wire.AsError(err).Message)
	default:
		r.h.log.Warn("a managed key cannot be used yet", "key", k.Name(), "library", place.Library.Name, "error", err)
	}
	return false, nil
}

// before finds the place, on the same token, that is in force; nil for none.
func (r *reloading) before(place *managedkey.Key) *managedkey.Key {
	old := r.now.Keys.Lookup(place.Name())
	if old == nil {
		return nil
	}
	for _, was := range old.Places() {
		if was.Library != nil && was.Library.Name == place.Library.Name && managedkey.SameToken(was, place) {
			return was
		}
	}
	return nil
}

// away gives the reason why none of a key's libraries can be asked, be it for
// now.
func (r *reloading) away(k *managedkey.Key) (err error) {
	for _, place := range k.Places() {
		seen := r.views[place.Library.Backend]
		if !seen.away() {
			return nil
		}
		err = cmp.Or(err, seen.err)
	}
	return err
}

// stanza is a library's in the file.
func (r *reloading) stanza(l *managedkey.Library) *config.Library {
	i := slices.IndexFunc(r.cfg.Libraries, func(c config.Library) bool { return c.Name == l.Name })
	return &r.cfg.Libraries[i]
}

// place is where the file defines a key, or its nth copy, or the token of an
// internal one.
func (r *reloading) place(k *managedkey.Key, n int) config.Place {
	for i := range r.cfg.ManagedKeys {
		c := &r.cfg.ManagedKeys[i]
		switch {
		case c.Name != k.Name():
		case n > 0:
			return c.PKCS11.Copies[n-1].Place
		default:
			return c.Place
		}
	}
	return r.cfg.InternalKeys.Place
}
