package main

import (
	"errors"
	"log/slog"
	"os"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/server"
	"github.com/hsmpki/hsmpki/hsmd/worker"
	"github.com/hsmpki/hsmpki/wire"
)

// backends gives each library the service of its worker.
func backends(workers *worker.Supervisor) func(*config.Library) wire.Service {
	return func(l *config.Library) wire.Service {
		return workers.Library(worker.Library{Name: l.Name, Path: l.Path, InitArgs: l.InitArgs, Env: l.Env})
	}
}

// build makes the server's state of a configuration: the whole of it, or an
// error that joins every fault.
func build(cfg *config.HSMD, stored []managedkey.Record, backend func(*config.Library) wire.Service, log *slog.Logger) (*server.State, error) {
	table, grantErr := grant.NewTable(cfg.Clients, uint32(os.Getuid()))
	built, err := managedkey.Build(cfg, managedkey.Sources{Stored: stored, Backend: backend, Log: log})
	if err := errors.Join(grantErr, err); err != nil {
		return nil, err
	}
	return &server.State{Grants: table, Built: *built}, nil
}

// warnings are what a configuration may say but should not say by mistake.
func warnings(cfg *config.HSMD, table *grant.Table) []string {
	var all []string
	for _, w := range cfg.Warnings {
		all = append(all, w.Error())
	}
	for _, name := range table.NamesOwnUser() {
		all = append(all, "client \""+name+"\" names hsmd's own user: whoever takes that client over has hsmd's files as well, and the wall between them is gone")
	}
	return all
}
