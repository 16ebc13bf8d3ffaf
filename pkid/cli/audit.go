package cli

import (
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

func auditCommand() *cli.Command {
	return &cli.Command{
		Name:  "audit",
		Usage: "compare what hsmd has signed with what is recorded here",
		Subcommands: []*cli.Command{{
			Name:      "reconcile",
			Usage:     "name the certificates that hsmd has signed and this server has no record of",
			ArgsUsage: "[FILE…]",
			Description: `   Reads hsmd's log of signatures, the oldest file first, or what "hsmd audit read" prints, and asks the server
   for each certificate in it: to the octet, for the serial number may be another's. What is not there was asked for
   by somebody else in pkid's place, or under a role with no_store, or was lost with an old copy of pkid's state.
   With -out, each is written as PEM, put together from the log, to be looked at and, if need be, revoked.
   Exits 2 where there are any.

   hsmd audit read | pkid audit reconcile
   hsmd audit read | pkid audit reconcile -out=missing && pkid revoke missing/*.pem`,
			Flags: flags(formatFlag(),
				&cli.StringSliceFlag{Name: "mount", Usage: "`path` of a CA, may be repeated; all, if left out"},
				&cli.StringFlag{Name: "out", Usage: "the `folder` for the certificates"},
			),
			Action: runReconcile,
		}},
	}
}

// unrecorded is one row: a certificate that hsmd has signed.
type unrecorded struct {
	Line    uint64   `json:"line" yaml:"line"`
	Time    string   `json:"time" yaml:"time"`
	Serial  string   `json:"serial_number" yaml:"serial_number"`
	Subject string   `json:"subject" yaml:"subject"`
	Names   []string `json:"names" yaml:"names"`
	Issuer  string   `json:"issuer" yaml:"issuer"`
	Key     string   `json:"key" yaml:"key"`
	State   string   `json:"state" yaml:"state"`
	File    string   `json:"file,omitempty" yaml:"file,omitempty"`
}

func runReconcile(c *cli.Context) error {
	s, err := open(c)
	if err != nil {
		return err
	}
	r := &reconciliation{session: s, mounts: c.StringSlice("mount"), seen: map[[sha256.Size]byte]bool{}}
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
	log := &signatures{each: r.certificate}
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
	return r.show(log)
}

// authorities lists the mounts of CAs.
func (s *session) authorities() (mounts []string, err error) {
	secret, err := s.get("sys/mounts", nil)
	if err != nil {
		return nil, explain("Error listing mounts", err)
	}
	for path, m := range secret.Data {
		if about, _ := m.(map[string]any); about["type"] == "pki" {
			mounts = append(mounts, strings.TrimSuffix(path, "/"))
		}
	}
	slices.Sort(mounts)
	return mounts, nil
}

// reconciliation is one comparison under way.
type reconciliation struct {
	*session
	mounts  []string
	seen    map[[sha256.Size]byte]bool // what was found missing already
	checked int
	missing []unrecorded
}

// certificate looks for one that hsmd has signed.
func (r *reconciliation) certificate(l *signatureLine) error {
	r.checked++
	id := sha256.Sum256(l.TBS)
	if r.seen[id] {
		return nil
	}
	for i, mount := range r.mounts {
		found, err := r.has(mount, l)
		if err != nil {
			return err
		}
		if found { // the next is likely to be there too
			r.mounts[0], r.mounts[i] = r.mounts[i], r.mounts[0]
			return nil
		}
	}
	r.seen[id] = true
	row := unrecorded{Line: l.Seq, Time: l.Time, Serial: l.Serial, Subject: l.Subject, Names: l.Names, Issuer: l.Issuer, Key: l.Key, State: "signed"}
	if l.Signature == nil {
		row.State = "perhaps signed" // hsmd ended before it could say
	} else if dir := r.ctx.String("out"); dir != "" {
		der, err := l.assemble()
		if err != nil {
			return fail("line %d: %v", l.Seq, err)
		}
		row.File = filepath.Join(dir, fmt.Sprintf("%d.pem", l.Seq))
		if err := os.WriteFile(row.File, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
			return fail("%v", err)
		}
	}
	r.missing = append(r.missing, row)
	return nil
}

// has reports whether the mount has the certificate.
func (r *reconciliation) has(mount string, l *signatureLine) (bool, error) {
	secret, err := r.get(mount+"/cert/"+l.Serial, nil)
	if isNothing(err) {
		return false, nil
	}
	if err != nil {
		return false, explain("Error reading "+mount+"/cert/"+l.Serial, err)
	}
	recorded, _ := secret.Data["certificate"].(string)
	block, _ := pem.Decode([]byte(recorded))
	if block == nil {
		return false, nil
	}
	return l.isOf(block.Bytes), nil
}

func (r *reconciliation) show(log *signatures) error {
	fmt.Fprintf(r.errOut, "Lines %d to %d of the log were read, and %d certificates are in them; this server has no record of %d.\n",
		log.first, log.next-1, r.checked, len(r.missing))
	if !log.ended {
		fmt.Fprintln(r.errOut, "Whether the log has more lines the files do not say; hsmd audit verify does.")
	}
	if len(r.missing) == 0 {
		return nil
	}
	var err error
	if r.format != "table" {
		err = r.encode(r.missing)
	} else {
		rows := make([][]string, len(r.missing))
		for i, m := range r.missing {
			rows[i] = []string{fmt.Sprint(m.Line), m.Time, m.Serial, m.Subject, strings.Join(m.Names, ","), m.Key, m.State}
		}
		err = r.table([]string{"Line", "Time", "Serial number", "Subject", "Names", "Key", "State"}, rows)
	}
	if err != nil {
		return err
	}
	return cli.Exit("", exitServer)
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
