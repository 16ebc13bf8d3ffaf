package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	ucli "github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/config/logging"
	"github.com/hsmpki/hsmpki/config/systemd"
	"github.com/hsmpki/hsmpki/pkid/api"
	"github.com/hsmpki/hsmpki/pkid/auditlog"
	"github.com/hsmpki/hsmpki/pkid/auth"
	"github.com/hsmpki/hsmpki/pkid/cli"
	"github.com/hsmpki/hsmpki/pkid/hsm"
	"github.com/hsmpki/hsmpki/pkid/listen"
	"github.com/hsmpki/hsmpki/pkid/metrics"
	"github.com/hsmpki/hsmpki/pkid/mounts"
	"github.com/hsmpki/hsmpki/pkid/pending"
	"github.com/hsmpki/hsmpki/pkid/policy"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/pkid/token"
	"github.com/hsmpki/hsmpki/pkid/wrapping"
)

// gcPercent is how much the heap may grow between two collections, unless GOGC
// in the environment says otherwise. What lives long in pkid is little, 10 to
// 20 MiB, and each certificate leaves fifty KiB behind: at Go's own 100 a tenth
// of pkid's time goes into collecting, and from 400 on the building of a long
// CRL takes a hundred MiB of garbage.
const gcPercent = 200

// grace is how long requests under way may go on when pkid ends.
const grace = 20 * time.Second

func serverCommand() *ucli.Command {
	return &ucli.Command{
		Name:            "server",
		Usage:           "run the daemon",
		HideHelpCommand: true,
		OnUsageError:    cli.UsageError,
		Flags:           []ucli.Flag{&ucli.StringFlag{Name: "config", Usage: "`file` with the configuration (HCL)", Required: true}},
		Action: func(c *ucli.Context) error {
			if c.NArg() > 0 {
				return ucli.Exit(fmt.Sprintf("%q: pkid server takes no arguments but -config=FILE", c.Args().First()), 1)
			}
			cfg, err := config.LoadPKID(c.String("config"))
			if err != nil {
				return ucli.Exit(logging.Failure(err.Error()), 1)
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			log, level := logging.New(cfg.LogLevel)
			if err := serve(ctx, cfg, log, level); err != nil {
				return ucli.Exit(logging.Failure("pkid: "+err.Error()), 1)
			}
			return nil
		},
	}
}

// serve runs pkid until ctx is done. hsmd need not be there: what needs it
// answers 503 until it is.
func serve(ctx context.Context, cfg *config.PKID, log *slog.Logger, level *slog.LevelVar) (err error) {
	// One that comes while pkid starts, or reloads, is held for later.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	if err := hardenProcess(); err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	for _, w := range cfg.Warnings {
		log.Warn(w.Error())
	}
	peers, err := listen.NewPeers(cfg.Peers)
	if err != nil {
		return err
	}
	blocked, err := openBlocklist(cfg)
	if err != nil {
		return err
	}
	state, err := pebblestore.Open(pebblestore.Config{Path: cfg.Storage.Path, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	keys, err := hsm.New(hsm.Config{Address: cfg.HSMD.Address, User: cfg.HSMD.User, Software: "pkid/" + version, Log: log})
	if err != nil {
		return cfg.HSMD.Place.Errorf("user", "%v", err)
	}
	defer keys.Close()
	table, err := mounts.Open(ctx, mounts.Settings{Store: state, Keys: keys, Now: time.Now, Log: log, BlockedKeys: blocked})
	if err != nil {
		return err
	}
	defer table.Close()
	policies, err := policy.Open(ctx, state)
	if err != nil {
		return err
	}
	tokens, err := token.Open(ctx, token.Config{Store: state, Now: time.Now, Log: log})
	if err != nil {
		return err
	}
	defer tokens.Close()
	logins, err := auth.Open(ctx, auth.Settings{Store: state, Tokens: tokens, Now: time.Now, Log: log, Revoked: table.Revoked})
	if err != nil {
		return err
	}
	defer logins.Close()
	audit, err := openAuditLog(ctx, cfg, state)
	if err != nil {
		return err
	}
	if audit != nil {
		defer func() { err = errors.Join(err, audit.Close()) }()
	}
	wraps := &wrapping.Store{Store: state, Now: time.Now, Log: log}
	handler, err := api.New(api.Config{
		Mounts: table, Keys: keys, Policies: policies, Tokens: tokens, Auth: logins, Store: state, Wrapping: wraps, Pending: &pending.Table{Store: state, Now: time.Now},
		Metrics:  metrics.New(metrics.Config{Version: version, Mounts: table, Storage: state, HSM: keys, Now: time.Now}),
		Audit:    audit,
		Settings: api.Settings{Peers: peers, APIAddr: cfg.APIAddr}, StorageType: cfg.Storage.Type, Version: version, Log: log,
	})
	if err != nil {
		return err
	}
	listeners, err := listen.Open(cfg.Listeners, log)
	if err != nil {
		return err
	}
	p := &pkid{log: log, systemd: systemd.Manager{Log: log}, level: level, started: cfg, handler: handler, audit: audit, blocked: blocked, listeners: listeners}
	p.inForce = p.rules(cfg)
	config.LogChanges(log, nil, p.inForce)

	var background sync.WaitGroup
	defer background.Wait()
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	defer unwatch()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	background.Go(func() { wraps.Run(ctx) })
	background.Go(func() { keys.Watch(ctx, watcher(table, log)) })

	log.Info("pkid is ready", "version", version, "mounts", len(table.List()))
	p.systemd.Ready()
	// pkid looks after itself until the last request is answered: systemd's
	// watchdog need not know that it ends.
	background.Go(func() { p.systemd.Watch(watching, watched(state)) })
	background.Go(func() { <-ctx.Done(); p.systemd.Stopping() })
	background.Go(func() { p.reloads(ctx, hangups) })
	err = listeners.Serve(ctx, handler, grace)
	log.Info("pkid ends")
	return err
}

// openAuditLog opens the log of requests, nil where none is configured.
func openAuditLog(ctx context.Context, cfg *config.PKID, state store.Store) (*auditlog.Log, error) {
	if cfg.AuditLog == "" {
		return nil, nil
	}
	key, err := auditlog.Key(ctx, state)
	if err != nil {
		return nil, err
	}
	log, err := auditlog.Open(auditlog.Config{Path: cfg.AuditLog, Key: key, Now: time.Now})
	if err != nil {
		return nil, cfg.Place.Errorf("audit_log", "%v", err)
	}
	return log, nil
}

// hardenProcess keeps what passes through pkid, private keys of leaves and PINs
// that are typed through the API, out of core files and from other processes
// of its user.
func hardenProcess() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return err
	}
	return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}
