package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/config/systemd"
	"github.com/hsmpki/hsmpki/pkid/api"
	"github.com/hsmpki/hsmpki/pkid/auditlog"
	"github.com/hsmpki/hsmpki/pkid/goodkey"
	"github.com/hsmpki/hsmpki/pkid/listen"
	"github.com/hsmpki/hsmpki/pkid/tracing"
)

// pkid is the running daemon, as far as a reload changes it.
type pkid struct {
	log       *slog.Logger
	systemd   systemd.Manager
	level     *slog.LevelVar
	started   *config.PKID // what only a restart changes is as it says
	handler   *api.Handler
	audit     *auditlog.Log // nil: none is kept
	blocked   *goodkey.Blocklist
	listeners *listen.Listeners
	traces    *traces

	inForce []config.Rule
}

// reloads reloads at each signal until ctx is done. The channel has room for
// one: signals that come during a reload make one more together.
func (p *pkid) reloads(ctx context.Context, hangups <-chan os.Signal) {
	for {
		select {
		case <-hangups:
			p.systemd.Reloading()
			p.reload()
			p.systemd.Ready()
		case <-ctx.Done():
			return
		}
	}
}

// reload takes from the file as it is now what can be changed while pkid runs:
// peers, TLS certificates, blocked keys, api_addr, tracing and log level. Where anything
// in it or in the files that it names is at fault, nothing changes. Requests and
// connections that are there go on.
func (p *pkid) reload() {
	p.reopenAuditLog()
	cfg, err := config.LoadPKID(p.started.Place.File())
	if err != nil {
		config.LogFaults(p.log, err)
		return
	}
	peers, peersErr := listen.NewPeers(cfg.Peers)
	certificates, certificatesErr := p.listeners.Read(cfg.Listeners)
	blocked, blockedErr := openBlocklist(cfg)
	err = errors.Join(peersErr, certificatesErr, blockedErr)
	var tracer *tracing.Tracer
	if err == nil { // whatever is made from here on is used
		tracer, err = p.traces.open(cfg.Tracing)
	}
	if err != nil {
		config.LogFaults(p.log, err)
		return
	}
	for _, change := range append(p.needRestart(cfg), p.listeners.NeedRestart(cfg.Listeners)...) {
		p.log.Warn("pkid has to be restarted to take a change", "change", change.Error())
	}

	p.handler.Change(api.Settings{Peers: peers, APIAddr: cfg.APIAddr, Tracer: tracer})
	certificates.Use()
	p.blocked.Replace(blocked)
	p.traces.use(cfg.Tracing, tracer) // last: a collector that hangs keeps it

	p.level.Set(min(p.level.Level(), cfg.LogLevel)) // for these lines
	before := p.inForce
	p.inForce = p.rules(cfg)
	changed := config.LogChanges(p.log, before, p.inForce)
	for _, w := range cfg.Warnings {
		p.log.Warn(w.Error())
	}
	p.log.Info("the configuration is reloaded", "changed_rules", changed)
	p.level.Set(cfg.LogLevel)
}

// reopenAuditLog goes on in a new file where the log was renamed, whatever else
// the configuration says: a fault there must not keep the old one growing.
func (p *pkid) reopenAuditLog() {
	if p.audit == nil {
		return
	}
	if err := p.audit.Reopen(); err != nil {
		p.log.Error("the audit log is not opened anew; the old file is written on", "error", err)
	}
}

// needRestart names what is set otherwise than in the file that pkid was
// started with, and was opened then.
func (p *pkid) needRestart(cfg *config.PKID) (changes []error) {
	was, is := &p.started.Storage, &cfg.Storage
	if was.Type != is.Type || was.Path != is.Path {
		changes = append(changes, is.Place.Errorf("path", "storage is still %q at %s", was.Type, was.Path))
	}
	if old := p.started.HSMD; old.Address != cfg.HSMD.Address || old.User != cfg.HSMD.User {
		changes = append(changes, cfg.HSMD.Place.Errorf("address", "hsmd is still the one at %s", old.Address))
	}
	if p.started.AuditLog != cfg.AuditLog {
		changes = append(changes, cfg.Place.Errorf("audit_log", "audit_log is still %q", p.started.AuditLog))
	}
	return changes
}

func openBlocklist(cfg *config.PKID) (*goodkey.Blocklist, error) {
	blocked, err := goodkey.OpenBlocklist(cfg.BlockedKeys)
	if err != nil {
		return nil, cfg.Place.Errorf("blocked_keys", "%v", err)
	}
	return blocked, nil
}

// rules are what a configuration comes to.
func (p *pkid) rules(cfg *config.PKID) []config.Rule {
	all := []config.Rule{{Subject: "log_level", Text: strings.ToLower(cfg.LogLevel.String())}}
	if p.audit != nil {
		all = append(all, config.Rule{Subject: "audit_log", Text: p.audit.Path})
	}
	if cfg.APIAddr != "" {
		all = append(all, config.Rule{Subject: "api_addr", Text: cfg.APIAddr})
	}
	if len(cfg.Peers) == 0 {
		all = append(all, config.Rule{Subject: "peers", Text: "no peer block: root and pkid's own user have the root policy"})
	}
	for _, peer := range cfg.Peers {
		var words []string
		if peer.User != "" {
			words = append(words, "user "+peer.User)
		}
		if peer.Group != "" {
			words = append(words, "group "+peer.Group)
		}
		all = append(all, config.Rule{Subject: fmt.Sprintf("peer %q", peer.Name),
			Text: strings.Join(words, " and ") + " has the policies " + strings.Join(peer.Policies, ", ")})
	}
	if len(cfg.BlockedKeys) > 0 {
		keys, moduli := p.blocked.Len()
		all = append(all, config.Rule{Subject: "blocked_keys",
			Text: fmt.Sprintf("%d keys and %d RSA moduli, of %s", keys, moduli, strings.Join(cfg.BlockedKeys, ", "))})
	}
	return append(append(all, p.traces.rules()...), p.listeners.Rules()...)
}
