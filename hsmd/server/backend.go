package server

import (
	"context"

	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

// tell has the worker know the key's definition, and PIN, before the first use.
func (s *Server) tell(ctx context.Context, k *managedkey.Key) error {
	if k.Library == nil {
		return wire.Errorf(wire.Invalid, "managed key %q cannot be used: %s", k.Name(), k.Fault)
	}
	return k.Tell(ctx, func() error {
		l := k.Library
		_, err := l.Backend.Configure(ctx, &wire.ConfigureRequest{Definition: k.Definition, Worker: &wire.WorkerConfig{
			Library:     l.Path,
			InitArgs:    l.InitArgs,
			MaxSessions: l.MaxSessions,
			KeyIDLength: l.KeyIDLength,
			FromWire:    k.Source == wire.SourceWire,
			RefusalKey:  s.store.RefusalKey(l.Path),
			Refusals:    s.store.Refusals(l.Path),
			Handle:      k.Handle,
		}})
		return s.backendError(ctx, l, err)
	})
}

// backendError looks at what a backend answered. A refused PIN is written down
// before anybody hears of it, so that no restart tries it again.
func (s *Server) backendError(ctx context.Context, l *managedkey.Library, err error) error {
	if !isCode(err, wire.LoginRefused) || l.Path == "" { // AWS KMS counts no tries
		return err
	}
	status, statusErr := l.Backend.Status(context.WithoutCancel(ctx), &wire.StatusRequest{})
	if statusErr != nil {
		s.log.Error("a PIN was refused, and the worker does not tell which", "library", l.Name, "error", statusErr)
		return err
	}
	s.refused(l, status.Refused)
	return err
}

// refused writes down PINs that tokens of a library have refused. The worker
// knows them; the next one is told what this one was, so every key of the
// library is told anew, with what is known now, before its next use.
func (s *Server) refused(l *managedkey.Library, refusals []wire.Refusal) {
	if err := s.store.AddRefusals(l.Path, refusals); err != nil {
		s.log.Error("a refused PIN could not be written down; a restart may try it again", "library", l.Name, "error", err)
	}
	for _, k := range s.state.Load().Keys.All() {
		for _, place := range k.Places() {
			if place.Library != nil && place.Library.SameFile(l) {
				place.Untell()
			}
		}
	}
}
