package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/config/logging"
	"github.com/hsmpki/hsmpki/config/systemd"
	"github.com/hsmpki/hsmpki/hsmd/approval"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/server"
	"github.com/hsmpki/hsmpki/hsmd/worker"
)

func serverCommand() *cli.Command {
	return &cli.Command{
		Name:  "server",
		Usage: "run hsmd",
		Flags: []cli.Flag{configFlag},
		Action: func(c *cli.Context) error {
			path, err := configPath(c)
			if err != nil {
				return err
			}
			cfg, err := config.LoadHSMD(path)
			if err != nil {
				return fail("%s", logging.Failure(err.Error()))
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			log, level := logging.New(cfg.LogLevel)
			if err := serve(ctx, cfg, log, level); err != nil {
				return fail("%s", logging.Failure("hsmd: "+err.Error()))
			}
			return nil
		},
	}
}

// hsmd is the running daemon. What a reload changes is read and written by one
// goroutine, in reload.go.
type hsmd struct {
	log     *slog.Logger
	systemd systemd.Manager
	level   *slog.LevelVar
	store   *managedkey.Store
	kms     *managedkey.Library // AWS KMS
	srv     *server.Server
	started *config.HSMD // what only a restart changes is as it says

	cfg     *config.HSMD // in force
	workers *worker.Supervisor
}

// serve runs hsmd until ctx is done. It listens only when everything that a
// request could need is loaded, so that the first one after a restart succeeds.
func serve(ctx context.Context, cfg *config.HSMD, log *slog.Logger, level *slog.LevelVar) (err error) {
	shareProcessors()
	if err := hardenProcess(); err != nil {
		return err
	}
	// One that comes while hsmd starts, or reloads, is held for later.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	store, err := openStore(cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	audit, err := openAudit(cfg, store, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, audit.Close()) }()

	memory, err := openLedger(cfg, audit, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, memory.Close()) }()

	h := &hsmd{log: log, systemd: systemd.Manager{Log: log}, level: level, store: store, kms: awsKMS(log), started: cfg, cfg: cfg, workers: worker.NewSupervisor(log)}
	defer func() { h.workers.Close() }()
	state, err := build(cfg, store.Records(), h.workers, h.kms, nil, nil)
	if err != nil {
		return err
	}
	approvals, err := approval.Open(filepath.Join(cfg.StateDir, "approvals"), time.Now)
	if err != nil {
		return err
	}
	if h.srv, err = server.New(server.Config{State: state, Store: store, Audit: audit, Ledger: memory, Approvals: approvals, Version: version, Log: log, Now: time.Now}); err != nil {
		return err
	}
	config.LogChanges(log, nil, rules(cfg, state))
	h.warn(cfg, state)

	listeners, err := listen(cfg.Listeners)
	if err != nil {
		return err
	}
	log.Info("hsmd is ready", "version", version, "libraries", len(state.Libraries), "keys", len(state.Keys.All()), "clients", len(cfg.Clients))
	h.systemd.Ready()

	// hsmd looks after itself until the last request is answered: systemd's
	// watchdog need not know that it ends.
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	var running, watch sync.WaitGroup
	defer watch.Wait()
	defer unwatch()
	watch.Go(func() { h.systemd.Watch(watching, h.check) })
	for _, l := range listeners {
		running.Go(func() {
			if err := h.srv.Serve(ctx, l); err != nil {
				log.Error("a listener ended", "error", err)
			}
		})
	}
	running.Go(func() { h.reloads(ctx, hangups) })
	<-ctx.Done()
	h.systemd.Stopping()
	log.Info("hsmd ends: requests under way may finish")
	running.Wait()
	h.srv.Wait()
	return nil
}

func (h *hsmd) warn(cfg *config.HSMD, state *server.State) {
	for _, w := range warnings(cfg, state) {
		h.log.Warn(w)
	}
}

// hardenProcess keeps PINs out of core files and from other processes of this
// user: not dumpable also means not to be traced, and no reading of memory
// through /proc.
func hardenProcess() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return err
	}
	return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}

func openStore(cfg *config.HSMD, log *slog.Logger) (*managedkey.Store, error) {
	var key string
	if cfg.StateKey.IsSet() {
		var err error
		if key, err = cfg.StateKey.Read(); err != nil {
			return nil, cfg.Place.Errorf("state_key", "state_key: %v", err)
		}
	}
	return managedkey.Open(managedkey.Config{Dir: cfg.StateDir, Key: key, Log: log})
}
