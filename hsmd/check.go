package main

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/server"
	"github.com/hsmpki/hsmpki/hsmd/worker"
	"github.com/hsmpki/hsmpki/wire"
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:  "check",
		Usage: "check a configuration, and say in words what it allows",
		Description: "Prints every fault with its line, and exits 1 if there is one; then warnings, the rules that follow\n" +
			"from the file, and which tokens the libraries show (without logging in to any). It reads the PINs,\n" +
			"so run it as the user that hsmd runs as.",
		Flags: []cli.Flag{configFlag, &cli.BoolFlag{Name: "exposure", Usage: "say instead, of each key, the worst that whoever takes a client over could have signed"}},
		Action: func(c *cli.Context) error {
			path, err := configPath(c)
			if err != nil {
				return err
			}
			return check(c.Context, path, c.Bool("exposure"), c.App.Writer, c.App.ErrWriter)
		},
	}
}

// checkTimeout bounds how long libraries are waited for.
const checkTimeout = 20 * time.Second

func check(ctx context.Context, path string, exposed bool, out, errOut io.Writer) error {
	cfg, err := config.LoadHSMD(path)
	if err != nil {
		return fail("%v", err)
	}
	silent := slog.New(slog.DiscardHandler)
	workers := worker.NewSupervisor(silent)
	defer workers.Close()
	state, err := build(cfg, nil, workers, awsKMS(silent), nil, nil)
	if err := errors.Join(err, checkLibraries(cfg), checkStateKey(cfg), checkWitnesses(cfg)); err != nil {
		return fail("%v", err)
	}
	for _, w := range warnings(cfg, state) {
		fmt.Fprintln(errOut, "warning:", w)
	}
	if !cfg.StateKey.IsSet() {
		fmt.Fprintf(errOut, "warning: %s: state_key is not set: a key will lie in state_dir beside what it encrypts, and guard copies of a file, not of the folder\n", cfg.Place.File())
	}
	if exposed {
		showExposure(out, cfg, state)
		return nil
	}
	summarise(out, cfg, state)

	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	for _, l := range state.Libraries {
		showTokens(ctx, out, errOut, l, state)
	}
	return nil
}

// checkLibraries looks at the files that workers will load.
func checkLibraries(cfg *config.HSMD) error {
	var faults []error
	for _, l := range cfg.Libraries {
		f, err := os.Open(l.Path)
		if err != nil {
			faults = append(faults, l.Place.Errorf("library", "kms_library %q: %v", l.Name, err))
			continue
		}
		var magic [4]byte
		if _, err := io.ReadFull(f, magic[:]); err != nil || !bytes.Equal(magic[:], []byte(elf.ELFMAG)) {
			faults = append(faults, l.Place.Errorf("library", "kms_library %q: %s is no shared object (ELF)", l.Name, l.Path))
		}
		f.Close()
	}
	return errors.Join(faults...)
}

func checkStateKey(cfg *config.HSMD) error {
	if !cfg.StateKey.IsSet() {
		return nil
	}
	if _, err := cfg.StateKey.Read(); err != nil {
		return cfg.Place.Errorf("state_key", "state_key: %v", err)
	}
	return nil
}

func checkWitnesses(cfg *config.HSMD) error {
	_, err := witnesses(cfg)
	return err
}

func showRules(out io.Writer, title string, rules []config.Rule) {
	if len(rules) > 0 {
		fmt.Fprintf(out, "\n%s\n", title)
	}
	for _, r := range rules {
		fmt.Fprintf(out, "  %s: %s\n", r.Subject, r.Text)
	}
}

// summarise says what the file means.
func summarise(out io.Writer, cfg *config.HSMD, state *server.State) {
	fmt.Fprintf(out, "%s is good.\n\nClients\n", cfg.Place.File())
	if len(cfg.Clients) == 0 {
		fmt.Fprintln(out, " ", noClients)
	}
	for _, c := range cfg.Clients {
		fmt.Fprintf(out, "  %s (%s) may: %s\n", c.Name, who(&c), may(&c))
	}
	if len(cfg.Clients) > 0 {
		fmt.Fprintf(out, "  root, where no block matches it, may: %s\n", grant.RootAlways())
	}
	fmt.Fprintln(out, "\nKeys")
	for _, k := range state.Keys.All() {
		fmt.Fprintf(out, "  %s: %s\n", k.Name(), describeKey(k))
	}
	if cfg.WireKeys == nil {
		fmt.Fprintln(out, "  no wire_keys block: no other key can be defined")
	} else {
		fmt.Fprintln(out, " ", describeWireKeys(cfg.WireKeys))
		if cfg.InternalKeys != nil {
			fmt.Fprintln(out, " ", describeInternalKeys(cfg.InternalKeys))
		}
	}
	showRules(out, "Constraints", constraintRules(cfg))
	showRules(out, "Approval", approvalRules(cfg))
	if len(cfg.Libraries) > 0 {
		fmt.Fprintln(out, "\nLibraries")
	}
	for _, l := range cfg.Libraries {
		fmt.Fprintf(out, "  %s: %s\n", l.Name, confined(&l))
	}
	fmt.Fprintf(out, "\nLog of signatures\n  %s\n", cfg.AuditLog)
	for _, w := range cfg.Witnesses {
		fmt.Fprintf(out, "  witnessed by %s at %s\n", w.Name, w.URL)
	}
	if len(cfg.Witnesses) == 0 {
		fmt.Fprintln(out, "  no witness: an old copy of this machine would not be known for one")
	}
	fmt.Fprintln(out, "\nSockets")
	for _, l := range cfg.Listeners {
		fmt.Fprintln(out, " ", describeListener(&l))
	}
}

// showTokens asks a library what it shows, and says which keys find their token.
func showTokens(ctx context.Context, out, errOut io.Writer, l *managedkey.Library, state *server.State) {
	fmt.Fprintf(out, "\nTokens of library %q (%s)\n", l.Name, l.Path)
	if l.KeyIDLength != config.DefaultKeyIDLength {
		fmt.Fprintf(out, "  keys that are made get an id (CKA_ID) of %d octets\n", l.KeyIDLength)
	}
	status, err := l.Backend.Status(ctx, &wire.StatusRequest{})
	var tokens []wire.TokenStatus
	if err == nil && len(status.Libraries) > 0 {
		tokens, err = status.Libraries[0].Tokens, status.Libraries[0].Fault.Err()
	}
	if err != nil {
		fmt.Fprintf(errOut, "warning: library %q cannot be asked: %v\n", l.Name, err)
		return
	}
	for _, t := range tokens {
		fmt.Fprintf(out, "  slot %d: label %q, serial %s %s\n", t.Slot, t.Label, t.Serial, strings.Join(t.Flags, " "))
	}
	for _, k := range state.Keys.All() {
		for _, place := range k.Places() {
			if place.Library != l {
				continue
			}
			if _, err := managedkey.ResolveToken(place.Definition.PKCS11, tokens); err != nil {
				fmt.Fprintf(errOut, "warning: managed key %q: %s\n", k.Name(), wire.AsError(err).Message)
			}
		}
	}
}
