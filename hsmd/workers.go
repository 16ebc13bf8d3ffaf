package main

import (
	"log/slog"
	"maps"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/worker"
	"github.com/hsmpki/hsmpki/wire"
)

// workers are the processes behind the libraries of one configuration.
type workers struct {
	supervisor *worker.Supervisor
}

func newWorkers(log *slog.Logger) *workers {
	return &workers{supervisor: worker.NewSupervisor(log)}
}

// backend gives the service that answers for a library.
func (w *workers) backend(l *config.Library) wire.Service {
	return w.supervisor.Library(worker.Library{Name: l.Name, Path: l.Path, InitArgs: l.InitArgs, Env: maps.Clone(l.Env)})
}

func (w *workers) close() { w.supervisor.Close() }
