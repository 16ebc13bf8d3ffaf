package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/server"
	"github.com/hsmpki/hsmpki/hsmd/worker"
	"github.com/hsmpki/hsmpki/wire"
)

// reloadTime bounds how long new keys and workers are tried. Those that have not
// answered by then come into force untried.
const reloadTime = 20 * time.Second

// reloads reloads at each signal until ctx is done. The channel has room for
// one: signals that come during a reload make one more together.
func (h *hsmd) reloads(ctx context.Context, hangups <-chan os.Signal) {
	for {
		select {
		case <-hangups:
			h.systemd.Reloading()
			h.reload(ctx)
			h.systemd.Ready()
		case <-ctx.Done():
			return
		}
	}
}

// reload takes the file as it is now, or nothing of it. What is new is built and
// tried beside what is old; then the two change places at once; and what is old
// goes when the last request that began with it is answered.
func (h *hsmd) reload(ctx context.Context) {
	// Step 1: the file, by itself.
	cfg, err := config.LoadHSMD(h.started.Place.File())
	if err != nil {
		config.LogFaults(h.log, err)
		return
	}

	// Step 2: its libraries, keys and clients, with workers that are new where
	// they have to be. Everything is served meanwhile, as before.
	r := &reloading{h: h, cfg: cfg, workers: h.workers.Next(), renewed: map[wire.Service]renewal{}, views: map[wire.Service]view{}}
	before, state, err := r.run(ctx)
	if err != nil {
		r.workers.CloseBut(h.workers)
		r.dropTried(nil)
		config.LogFaults(h.log, err)
		return
	}
	for _, change := range needRestart(h.started, cfg) {
		h.log.Warn("hsmd has to be restarted to take a change", "change", change.Error())
	}
	h.level.Set(min(h.level.Level(), cfg.LogLevel)) // for these lines
	changed := config.LogChanges(h.log, rules(h.cfg, before), rules(cfg, state))
	for _, l := range state.Libraries {
		if why, ok := r.renewed[l.Backend]; ok {
			h.log.Info("a new worker of a library takes over", "library", l.Name, "why_new", why.reason)
		}
	}
	h.warn(cfg, state)

	// Step 3: what is old, once nobody needs it.
	old, next := h.workers, r.workers
	h.srv.Afterwards(func() { old.CloseBut(next) })
	h.cfg, h.workers = cfg, next
	r.dropTried(state)
	h.log.Info("the configuration is reloaded", "changed_rules", changed)
	h.level.Set(cfg.LogLevel)
}

// needRestart names what is set otherwise than in the file that hsmd was
// started with, and was opened then.
func needRestart(started, cfg *config.HSMD) (changes []error) {
	changed := func(attr, format string, args ...any) {
		changes = append(changes, cfg.Place.Errorf(attr, format, args...))
	}
	if cfg.StateDir != started.StateDir {
		changed("state_dir", "state_dir is still %s", started.StateDir)
	}
	if cfg.StateKey.Reference() != started.StateKey.Reference() {
		changed("state_key", "state_key is still the one that hsmd was started with")
	}
	if cfg.AuditLog != started.AuditLog {
		changed("audit_log", "audit_log is still %s", started.AuditLog)
	}
	if !slices.EqualFunc(cfg.Witnesses, started.Witnesses, sameWitness) {
		changed("", "witness: the witnesses are still those that hsmd was started with")
	}
	sockets := func(c *config.HSMD) (all []string) {
		for _, l := range c.Listeners {
			all = append(all, describeListener(&l))
		}
		return all
	}
	if now := sockets(started); !slices.Equal(now, sockets(cfg)) {
		changed("", "listener: hsmd still listens at %s", listed(now))
	}
	return changes
}

func sameWitness(a, b config.Witness) bool {
	return a.Name == b.Name && a.URL == b.URL && a.Key == b.Key && a.Required == b.Required
}

// reloading is one reload under way.
type reloading struct {
	h       *hsmd
	cfg     *config.HSMD
	now     *server.State      // in force when it began
	workers *worker.Supervisor // of cfg

	renewed map[wire.Service]renewal // by the new worker
	kept    []wire.Service           // old workers that stay, since the new ones are no better
	views   map[wire.Service]view
	tried   []*managedkey.Key
}

// run prepares the new state and puts it in force; before is the one that was.
func (r *reloading) run(ctx context.Context) (before, state *server.State, err error) {
	trying, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	r.now = r.h.srv.State()
	tried, err := r.prepare(trying)
	if err != nil {
		return nil, nil, err
	}
	err = r.h.srv.Replace(ctx, func(now *server.State) (*server.State, error) {
		before, state, err = now, tried, nil
		if now != r.now { // keys were defined over the wire meanwhile
			state, err = r.build(now, tried)
		}
		return state, err
	})
	return before, state, err
}

// prepare makes the state of the new file, and tries what is new in it. Where
// that shows that a library needs a new worker, or is better off with its old
// one, the state is made once more with it.
func (r *reloading) prepare(ctx context.Context) (*server.State, error) {
	for {
		state, err := r.build(r.now, nil)
		if err != nil {
			return nil, err
		}
		r.look(ctx, state)
		if r.renew(state) {
			continue
		}
		again, err := r.try(ctx, state)
		if err != nil {
			return nil, err
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, errors.New("hsmd ends")
		}
		if !again {
			return state, nil
		}
	}
}

func (r *reloading) build(now, tried *server.State) (*server.State, error) {
	return build(r.cfg, r.h.store.Records(), r.workers, r.h.kms, now, tried)
}

// dropTried has workers forget the keys that were tried and did not come into
// force.
func (r *reloading) dropTried(state *server.State) {
	for _, k := range r.tried {
		if state == nil || state.Keys.Lookup(k.Name()) != k {
			r.h.srv.Drop(k)
		}
	}
}
