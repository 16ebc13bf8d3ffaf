package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/awskms"
	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/server"
	"github.com/hsmpki/hsmpki/hsmd/worker"
	"github.com/hsmpki/hsmpki/wire"
)

// loaded is what a worker loads for a stanza.
func loaded(l *config.Library) worker.Library {
	return worker.Library{Name: l.Name, Path: l.Path, InitArgs: l.InitArgs, Env: l.Env,
		Withheld: l.Withheld, Paths: l.Paths, User: l.User}
}

// awsKMS is what answers for keys in AWS KMS, as long as hsmd runs.
func awsKMS(log *slog.Logger) *managedkey.Library {
	return &managedkey.Library{Name: managedkey.AWSKMSName, Backend: awskms.New(awskms.Config{Log: log})}
}

// build makes the server's state of a configuration: the whole of it, or an
// error that joins every fault. What is the same in the state in force, or in
// one that was built of this configuration and tried, is taken over; at the
// start both are nil.
func build(cfg *config.HSMD, stored []managedkey.Record, workers *worker.Supervisor, kms *managedkey.Library, before, tried *server.State) (*server.State, error) {
	if err := confine(cfg); err != nil {
		return nil, err
	}
	sources := managedkey.Sources{Stored: stored, Backend: func(l *config.Library) wire.Service { return workers.Library(loaded(l)) }, AWSKMS: kms}
	if before != nil {
		sources.Before = &before.Built
	}
	if tried != nil {
		sources.Tried = &tried.Built
	}
	table, grantErr := grant.NewTable(cfg.Clients, uint32(os.Getuid()))
	built, err := managedkey.Build(cfg, sources)
	if err := errors.Join(grantErr, err); err != nil {
		return nil, err
	}
	approvals, err := approvalOf(cfg)
	if err != nil {
		return nil, err
	}
	constraints, err := constraintsOf(cfg)
	if err != nil {
		return nil, err
	}
	return &server.State{Grants: table, WorkerUsers: workerUsers(cfg), Approval: *approvals, Constraints: *constraints, UnrecordedGoodUntil: cfg.Ledger.UnrecordedGoodUntil, Built: *built}, nil
}

// warnings are what a configuration may say but should not say by mistake, and
// what it makes of stored keys.
func warnings(cfg *config.HSMD, state *server.State) []string {
	var all []string
	for _, w := range cfg.Warnings {
		all = append(all, w.Error())
	}
	all = append(all, confinementWarnings(cfg)...)
	all = append(all, constraintWarnings(cfg)...)
	for _, name := range state.Grants.NamesOwnUser() {
		all = append(all, "client \""+name+"\" names hsmd's own user: whoever takes that client over has hsmd's files as well, and the wall between them is gone")
	}
	all = append(all, shutOut(cfg)...)
	for _, name := range state.Inactive {
		all = append(all, "stored managed key \""+name+"\" is inactive: hsmd's configuration defines one of its name")
	}
	if until := state.UnrecordedGoodUntil; time.Now().Before(until) {
		all = append(all, "unrecorded_good_until: until "+until.UTC().Format(time.RFC3339)+" whoever may sign can have OCSP say \"good\" of serial numbers that were never issued")
	}
	for _, k := range state.Keys.All() {
		if k.Library == nil {
			all = append(all, "stored managed key \""+k.Name()+"\" cannot be used: "+k.Fault)
		}
	}
	return all
}

// shutOut are warnings of clients whose user may open none of the sockets. What
// cannot be looked up is said when it is used.
func shutOut(cfg *config.HSMD) (all []string) {
	for _, c := range cfg.Clients {
		account, err := worker.Account(c.User)
		if err != nil {
			continue // a group alone: any of its users
		}
		opens := func(l config.Listener) bool {
			may, err := socketOf(&l).MayConnect(account.Uid, append(account.Groups, account.Gid))
			return may || err != nil
		}
		if !slices.ContainsFunc(cfg.Listeners, opens) {
			all = append(all, fmt.Sprintf("client %q: user %s may open no socket of hsmd's: give the listener a socket_group that the user is in, and hsmd's user too", c.Name, c.User))
		}
	}
	return all
}
