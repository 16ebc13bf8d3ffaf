package cli

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"

	"github.com/urfave/cli/v2"
)

func auditCommand() *cli.Command {
	return &cli.Command{
		Name:  "audit",
		Usage: "compare what hsmd has signed with what is recorded here",
		Subcommands: []*cli.Command{{
			Name:      "reconcile",
			Usage:     "name certificates and revocations that hsmd has signed and this server has no record of",
			ArgsUsage: "[FILE…]",
			Description: `   Reads hsmd's log of signatures, the oldest file first, or what "hsmd audit read" prints, and asks the server
   for each certificate in it: to the octet, for the serial number may be another's. What is not there was asked for
   by somebody else in pkid's place, or under a role with no_store, or was lost with an old copy of pkid's state.
   With -out, each is written as PEM, put together from the log, to be looked at and, if need be, revoked.

   It asks also for what CRLs have revoked and has not run out: an old copy of pkid's state has taken it back, and hsmd
   signs no CRL without it. With -revoke it is revoked here again, without a reason, which the log does not have.
   Files are believed: hsmd audit verify says whether they are as hsmd wrote them.
   Exits 2 where anything is missing in the end.

   hsmd audit read | pkid audit reconcile
   hsmd audit read | pkid audit reconcile -revoke -out=missing`,
			Flags: flags(formatFlag(),
				&cli.StringSliceFlag{Name: "mount", Usage: "`path` of a CA, may be repeated; all, if left out"},
				&cli.StringFlag{Name: "out", Usage: "the `folder` for the certificates"},
				&cli.BoolFlag{Name: "revoke", Usage: "revoke here what CRLs have revoked"},
			),
			Action: runReconcile,
		}},
	}
}

func runReconcile(c *cli.Context) error {
	s, err := open(c)
	if err != nil {
		return err
	}
	r := &reconciliation{session: s, mounts: c.StringSlice("mount"), missing: map[[sha256.Size]byte]*unrecorded{}, ended: map[string]bool{}}
	if len(r.mounts) == 0 {
		if r.mounts, err = s.authorities(); err != nil {
			return err
		}
	}
	if dir := c.String("out"); dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fail("%v", err)
		}
	}
	log := &signatures{each: r.certificate, revoked: r.revocation}
	files := c.Args().Slice()
	if len(files) == 0 {
		files = []string{"-"}
	}
	for _, name := range files {
		if err := log.readFile(name); err != nil {
			return err
		}
	}
	if err := log.end(); err != nil {
		return err
	}
	if err := r.compareRevocations(); err != nil {
		return err
	}
	return r.show(log)
}

// readFile reads one file of the log, or with "-" the standard input.
func (s *signatures) readFile(name string) error {
	in, shown := io.Reader(os.Stdin), "standard input"
	if name != "-" {
		shown = name
		f, err := os.Open(name)
		if err != nil {
			return fail("%v", err)
		}
		defer f.Close()
		in = f
	}
	err := s.read(in)
	switch {
	case err != nil:
	case !s.begun:
		err = errors.New("there is no line in it")
	case name == "-" && !s.ended:
		err = errors.New("what \"hsmd audit read\" prints ends with {\"end\":NUMBER}, and this does not: it is not all that there is")
	}
	if err != nil {
		return fail("%s: %v", shown, err)
	}
	return nil
}
