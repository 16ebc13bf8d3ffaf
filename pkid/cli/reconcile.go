package cli

import (
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// unrecorded is one row: a certificate that hsmd has signed, or that a CRL has
// revoked which it has signed.
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

	der []byte // as far as the log has it
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
	checked int
	missing map[[sha256.Size]byte]*unrecorded // by the to-be-signed octets
	rows    []*unrecorded
	ended   map[string]bool // serial numbers of certificates that have run out
	revoked []*unrecorded   // what CRLs have revoked
}

// certificate looks for one that hsmd has signed.
func (r *reconciliation) certificate(l *signatureLine) error {
	r.checked++
	if l.NotAfter.Before(time.Now()) {
		r.ended[l.Serial] = true
	}
	id := sha256.Sum256(l.TBS)
	if r.missing[id] != nil {
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
	row := &unrecorded{Line: l.Seq, Time: l.Time, Serial: l.Serial, Subject: l.Subject, Names: l.Names, Issuer: l.Issuer, Key: l.Key, State: "signed"}
	r.missing[id], r.rows = row, append(r.rows, row)
	if l.Signature == nil {
		row.State = "perhaps signed" // hsmd ended before it could say
		return nil
	}
	var err error
	if row.der, err = l.assemble(); err != nil {
		return fail("line %d: %v", l.Seq, err)
	}
	return r.write(row)
}

// write writes a certificate where -out says.
func (r *reconciliation) write(row *unrecorded) error {
	dir := r.ctx.String("out")
	if dir == "" {
		return nil
	}
	row.File = filepath.Join(dir, fmt.Sprintf("%d.pem", row.Line))
	if err := os.WriteFile(row.File, []byte(pemOf(row.der)), 0o644); err != nil {
		return fail("%v", err)
	}
	return nil
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
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

// show prints what is missing, and exits with 2 where that is anything.
func (r *reconciliation) show(log *signatures) error {
	fmt.Fprintf(r.errOut, "Lines %d to %d of the log were read, and %d certificates are in them; this server has no record of %d.\n",
		log.first, log.next-1, r.checked, len(r.missing))
	if n := len(r.rows) - len(r.missing); n > 0 {
		fmt.Fprintf(r.errOut, "CRLs that hsmd has signed revoke %d that were not revoked here.\n", n)
	}
	if !log.ended {
		fmt.Fprintln(r.errOut, "Whether the log has more lines the files do not say; hsmd audit verify does.")
	}
	if len(r.rows) == 0 {
		return nil
	}
	var err error
	if r.format != "table" {
		err = r.encode(r.rows)
	} else {
		rows := make([][]string, len(r.rows))
		for i, m := range r.rows {
			rows[i] = []string{fmt.Sprint(m.Line), m.Time, m.Serial, m.Subject, strings.Join(m.Names, ","), m.Key, m.State}
		}
		err = r.table([]string{"Line", "Time", "Serial number", "Subject", "Names", "Key", "State"}, rows)
	}
	if err != nil || !slices.ContainsFunc(r.rows, func(m *unrecorded) bool { return m.State != revokedAgain }) {
		return err
	}
	return cli.Exit("", exitServer)
}
