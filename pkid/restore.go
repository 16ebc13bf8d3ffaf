package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	ucli "github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
	"github.com/hsmpki/hsmpki/pkid/store/snapshot"
)

func restoreCommand() *ucli.Command {
	return &ucli.Command{
		Name:      "restore",
		Usage:     "make a new state of a snapshot, where there is none",
		ArgsUsage: "FILE",
		Description: `   Works on the state that the configuration names, which must not be there yet, while pkid does not run. What was written is
   read back and compared before the state gets its name: a restore that fails leaves none.

   pkid storage restore -config=/etc/pkid/pkid.hcl /backup/pkid-2026-11-25.snapshot`,
		Flags: []ucli.Flag{&ucli.StringFlag{Name: "config", Usage: "`file` with the configuration (HCL)", Required: true}},
		Action: func(c *ucli.Context) error {
			if c.NArg() != 1 {
				return ucli.Exit("pkid storage restore takes one argument, the snapshot", 1)
			}
			cfg, err := config.LoadPKID(c.String("config"))
			if err != nil {
				return ucli.Exit(err, 1)
			}
			summary, err := restore(c.Context, c.Args().First(), cfg.Storage.Path)
			if err != nil {
				return ucli.Exit(fmt.Sprintf("pkid: %v", err), 1)
			}
			fmt.Fprintf(c.App.Writer, "%s: %d records of %s; sha256 %x\n", cfg.Storage.Path, summary.Records, c.Args().First(), summary.SHA256)
			return nil
		},
	}
}

// restore makes the state beside its place, and moves it there when it was read
// back: a crash leaves no state that is not whole.
func restore(ctx context.Context, file, path string) (*snapshot.Summary, error) {
	from, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	if err := vacant(path); err != nil {
		return nil, err
	}
	// Once through before anything is written: a damaged file costs nothing.
	if _, err := snapshot.Read(from, func(bool, []byte, []byte) error { return nil }); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	beside := filepath.Clean(path) + ".restoring"
	if err := os.RemoveAll(beside); err != nil { // of a restore that was cut short
		return nil, err
	}
	state, err := pebblestore.Open(pebblestore.Config{Path: beside, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	summary, err := snapshot.Restore(ctx, from, state)
	if err := errors.Join(err, state.Close()); err != nil {
		os.RemoveAll(beside)
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := moveInto(beside, path); err != nil {
		return nil, err
	}
	return summary, nil
}

// vacant refuses a place where something is; a folder that is empty, as packages
// make it, is as good as none.
func vacant(path string) error {
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: a snapshot is restored only where there is no state; move the old one away", path)
	}
	return nil
}

// moveInto renames a folder to one that is not there or is empty, whose owner it
// takes over: restoring is done as root, and pkid runs as another user.
func moveInto(from, to string) error {
	if info, err := os.Stat(to); err == nil {
		if err := takeOwner(from, info); err != nil {
			return err
		}
		if err := os.Remove(to); err != nil {
			return err
		}
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	above, err := os.Open(filepath.Dir(filepath.Clean(to)))
	if err != nil {
		return err
	}
	defer above.Close()
	return above.Sync()
}
