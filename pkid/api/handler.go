// Package api is Vault's HTTP API on the wire: routes, who asks, parameters in,
// envelope out. It decides nothing about certificates, which is package ca's,
// nor about mounts, which is package mounts's; files are named after the paths
// that they serve.
//
// Start at [Handler.ServeHTTP] in router.go, which tells what a request meets;
// the routes are in sys_routes.go and pki_routes.go.
package api

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/hsmpki/hsmpki/pkid/auditlog"
	"github.com/hsmpki/hsmpki/pkid/auth"
	"github.com/hsmpki/hsmpki/pkid/listen"
	"github.com/hsmpki/hsmpki/pkid/metrics"
	"github.com/hsmpki/hsmpki/pkid/mounts"
	"github.com/hsmpki/hsmpki/pkid/pending"
	"github.com/hsmpki/hsmpki/pkid/policy"
	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/token"
	"github.com/hsmpki/hsmpki/pkid/wrapping"
	"github.com/hsmpki/hsmpki/wire"
)

// Keys is what the API asks of hsmd by itself: the definitions of managed keys
// (sys/managed-keys). Signing is package ca's. hsm.Client meets it.
type Keys interface {
	Describe(ctx context.Context, req *wire.DescribeRequest) (*wire.DescribeResponse, error)
	FindOrMake(ctx context.Context, name, id, use string) (*wire.KeyInfo, error)
	Test(ctx context.Context, req *wire.TestRequest) (*wire.TestResponse, error)
	Configure(ctx context.Context, req *wire.ConfigureRequest) (*wire.ConfigureResponse, error)
	Forget(ctx context.Context, req *wire.ForgetRequest) (*wire.ForgetResponse, error)
	Status(ctx context.Context, req *wire.StatusRequest) (*wire.StatusResponse, error)
}

// Config is what a Handler works with.
type Config struct {
	Mounts   *mounts.Table
	Keys     Keys
	Policies *policy.Table
	Tokens   *token.Store
	Auth     *auth.Table
	Pending  *pending.Table
	Wrapping *wrapping.Store
	Store    store.Store // for snapshots alone; everything else goes by its owner
	Metrics  *metrics.Metrics
	Audit    *auditlog.Log // nil: there is none

	// Settings are those in force at first.
	Settings Settings

	// StorageType is the label of the storage block, for sys/seal-status.
	StorageType string

	Version string // pkid's own
	Log     *slog.Logger
	Now     func() time.Time // default: time.Now
}

// Settings are what can be changed while a Handler serves.
type Settings struct {
	// Peers say who behind a Unix socket has which policies.
	Peers listen.Peers

	// APIAddr is the URL at which clients reach pkid, "" if none is set.
	APIAddr string
}

// Handler serves the API. It is safe for concurrent use.
type Handler struct {
	Config
	sys, pki []route
	auth     map[string][]route // by the type of a way to log in
	started  time.Time
	settings atomic.Pointer[Settings]
	signing  signing
	refusals *rate.Limiter // of what the log is told of refused logins
}

// New makes a Handler.
func New(cfg Config) (*Handler, error) {
	if cfg.Mounts == nil || cfg.Keys == nil || cfg.Policies == nil || cfg.Tokens == nil || cfg.Auth == nil || cfg.Pending == nil || cfg.Wrapping == nil || cfg.Store == nil || cfg.Metrics == nil || cfg.Log == nil {
		return nil, errors.New("api: mounts, keys, policies, tokens, auth, pending, wrapping, store, metrics and log are needed")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	h := &Handler{
		Config:   cfg,
		sys:      compile(sysRoutes()),
		pki:      compile(pkiRoutes()),
		auth:     authRoutes(),
		started:  cfg.Now(),
		refusals: rate.NewLimiter(rate.Every(refusalsEach), refusalsFirst),
	}
	h.Change(cfg.Settings)
	return h, nil
}

// Change puts other settings in force for the requests that come from now on.
func (h *Handler) Change(s Settings) { h.settings.Store(&s) }
