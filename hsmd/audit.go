package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/auditlog"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

// checkpointFile is the one of the state directory that says how long the log of
// signatures was: a log that lies elsewhere is not lost together with it.
func checkpointFile(cfg *config.HSMD) string { return filepath.Join(cfg.StateDir, "audit-checkpoint") }

func openAudit(cfg *config.HSMD, store *managedkey.Store, log *slog.Logger) (*auditlog.Log, error) {
	seed, err := store.AuditKey()
	if err != nil {
		return nil, err
	}
	witnesses, err := witnesses(cfg)
	if err != nil {
		return nil, err
	}
	return auditlog.Open(auditlog.Config{
		Path: cfg.AuditLog, Checkpoints: checkpointFile(cfg), Seed: seed, Witnesses: witnesses,
		Version: version, Log: log, Now: time.Now,
	})
}

func witnesses(cfg *config.HSMD) (all []*auditlog.Witness, err error) {
	for _, c := range cfg.Witnesses {
		w, fault := auditlog.NewWitness(c.Name, c.URL, c.Key, c.Required)
		if fault != nil {
			err = errors.Join(err, c.Place.Errorf("", "witness %q: %v", c.Name, fault))
		}
		all = append(all, w)
	}
	return all, err
}

func auditCommand() *cli.Command {
	return &cli.Command{
		Name:  "audit",
		Usage: "look after the log of signatures",
		Subcommands: []*cli.Command{{
			Name:  "verify",
			Usage: "verify the log of signatures",
			Description: "Reads all of the log, which hsmd may be writing, and wants each line to go on from the one before,\n" +
				"the octets of certificates to be those that were recorded, the log to begin with its first line and to\n" +
				"reach its last checkpoint. -config=FILE finds the log and its checkpoint as hsmd does; else give the\n" +
				"path of the log that is written, beside which its sealed segments lie.",
			ArgsUsage: "[AUDIT_LOG]",
			Flags: []cli.Flag{
				configFlag,
				&cli.StringFlag{Name: "checkpoint", Usage: "the `FILE` of a checkpoint that the log has to reach"},
				&cli.StringFlag{Name: "key", Usage: "the log's `VERIFIER` key, as noted elsewhere; else the one that the log names"},
			},
			Action: auditVerify,
		}, {
			Name:  "read",
			Usage: "print lines of the log of signatures, as a running hsmd gives them",
			Description: "It takes \"audit\" on all keys. A last line, {\"end\":NUMBER}, is not of the log: it says that there were no\n" +
				"more. What pkid has no record of, this finds:\n\n" +
				"   hsmd audit read | pkid audit reconcile",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "address", Usage: "hsmd's socket, a `PATH`", Value: config.DefaultHSMDSocket},
				&cli.Uint64Flag{Name: "from", Usage: "the first line's `NUMBER`"},
			},
			Action: auditRead,
		}},
	}
}

// auditRead prints lines until there are no more, and then how many the log has,
// by which a reader at the other end of a pipe knows that he has all.
func auditRead(c *cli.Context) error {
	if _, err := arguments(c, 0); err != nil {
		return err
	}
	client, err := dial(c.Context, c.String("address"))
	if err != nil {
		return fail("%v", err)
	}
	defer client.Close()
	for next := c.Uint64("from"); ; {
		answer, err := client.Log(c.Context, &wire.LogRequest{From: next})
		if e, ok := errors.AsType[*wire.Error](err); ok {
			return cli.Exit("hsmd: "+e.Error(), exitServer)
		}
		if err != nil {
			return fail("%v", err)
		}
		if len(answer.Lines) == 0 {
			if _, err := fmt.Fprintf(c.App.Writer, "{\"end\":%d}\n", answer.Size); err != nil {
				return fail("%v", err)
			}
			return nil
		}
		for _, line := range answer.Lines {
			if _, err := fmt.Fprintf(c.App.Writer, "%s\n", line); err != nil {
				return fail("%v", err)
			}
		}
		next += uint64(len(answer.Lines))
	}
}

func auditVerify(c *cli.Context) error {
	path, checkpoint := "", c.String("checkpoint")
	var signers []*auditlog.Witness
	if c.String("config") != "" {
		file, err := configPath(c)
		if err != nil {
			return err
		}
		cfg, err := config.LoadHSMD(file)
		if err != nil {
			return fail("%v", err)
		}
		path = cfg.AuditLog
		if signers, err = witnesses(cfg); err != nil {
			return fail("%v", err)
		}
		if checkpoint == "" {
			checkpoint = checkpointFile(cfg)
		}
	} else {
		args, err := arguments(c, 1)
		if err != nil {
			return err
		}
		path = args[0]
	}
	report, err := auditlog.Verify(path, checkpoint, c.String("key"), signers...)
	if err != nil {
		return fail("%s: %v", path, err)
	}
	showReport(c.App.Writer, path, report)
	for _, w := range signers {
		if !slices.Contains(report.Cosigned, w.Name()) {
			fmt.Fprintf(c.App.ErrWriter, "warning: witness %q has not signed the checkpoint\n", w.Name())
		}
	}
	return nil
}

func showReport(out io.Writer, path string, r *auditlog.Report) {
	fmt.Fprintf(out, "%s is whole: %d lines in %d segments, from %s to %s\n", path, r.Next, r.Segments,
		r.Begin.Format(time.RFC3339), r.End.Format(time.RFC3339))
	kinds := make([]string, 0, len(r.Kinds))
	for kind, count := range r.Kinds {
		kinds = append(kinds, fmt.Sprintf("  %s: %d", kind, count))
	}
	slices.Sort(kinds)
	for _, k := range kinds {
		fmt.Fprintln(out, k)
	}
	if n := len(r.Open); n > 0 {
		fmt.Fprintf(out, "without an outcome, and so to be taken for signed: %d, the first is line %d\n", n, r.Open[0])
	}
	if r.Torn {
		fmt.Fprintln(out, "the last line is not whole: it is being written, or a crash tore it, and hsmd will cut it off")
	}
	if r.Checkpoint > 0 {
		fmt.Fprintf(out, "checkpoint: signed at %d lines\n", r.Checkpoint)
		for _, name := range r.Cosigned {
			fmt.Fprintf(out, "  and by the witness %s\n", name)
		}
	} else {
		fmt.Fprintln(out, "checkpoint: none")
	}
	fmt.Fprintf(out, "root: %s\nkey: %s\n", r.Root, r.Verifier)
}
