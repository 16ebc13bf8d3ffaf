package cli

import (
	"crypto/ecdsa"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/health"
)

func caCommand() *cli.Command {
	return &cli.Command{
		Name:  "ca",
		Usage: "show a mount's issuers as a tree, with their keys, ends and CRLs",
		Description: `   pkid ca
   pkid ca -mount=team/pki -format=json`,
		Flags:  flags(formatFlag(), &cli.StringFlag{Name: "mount", Value: "pki", Usage: "`path` of the CA"}),
		Action: runCA,
	}
}

// shownIssuer is one issuer in JSON and YAML.
type shownIssuer struct {
	ID            string        `json:"issuer_id" yaml:"issuer_id"`
	Name          string        `json:"issuer_name" yaml:"issuer_name"`
	Default       bool          `json:"is_default" yaml:"is_default"`
	Subject       string        `json:"subject" yaml:"subject"`
	Serial        string        `json:"serial_number" yaml:"serial_number"`
	KeyType       string        `json:"key_type" yaml:"key_type"`
	ManagedKey    string        `json:"managed_key_name" yaml:"managed_key_name"`
	NotAfter      string        `json:"not_after" yaml:"not_after"`
	Usage         string        `json:"usage" yaml:"usage"`
	CRLNumber     string        `json:"crl_number,omitempty" yaml:"crl_number,omitempty"`
	CRLThisUpdate string        `json:"crl_this_update,omitempty" yaml:"crl_this_update,omitempty"`
	CRLNextUpdate string        `json:"crl_next_update,omitempty" yaml:"crl_next_update,omitempty"`
	CRLEntries    int           `json:"crl_entries" yaml:"crl_entries"`
	Issuers       []shownIssuer `json:"issuers" yaml:"issuers"`
}

func runCA(c *cli.Context) error {
	s, mount, err := openMountAlone(c)
	if err != nil {
		return err
	}
	issuers, err := s.issuers(mount)
	if err != nil {
		return err
	}
	if len(issuers) == 0 {
		return nothing(mount + "/issuers")
	}
	roots := tree(issuers)
	if s.format != "table" {
		return s.encode(shownAll(roots))
	}
	var rows [][]string
	for _, b := range roots {
		rows = appendRows(rows, b, "", "", time.Now())
	}
	return s.table([]string{"Issuer", "Key", "Valid for", "CRL"}, rows)
}

// appendRows adds a branch: first its issuer with the lines that lead to it.
func appendRows(rows [][]string, b *branch, first, rest string, now time.Time) [][]string {
	name := b.Certificate.Subject.CommonName
	if name == "" {
		name = b.Certificate.Subject.String()
	}
	if b.Name != "" {
		name += " (" + b.Name + ")"
	}
	if b.Default {
		name += " *"
	}
	rows = append(rows, []string{first + name, keyCell(b.Issuer), spanOf(b.Certificate.NotAfter.Sub(now)), crlCell(b.Issuer, now)})
	for n, below := range b.below {
		first, more := "├─ ", "│  "
		if n == len(b.below)-1 {
			first, more = "└─ ", "   "
		}
		rows = appendRows(rows, below, rest+first, rest+more, now)
	}
	return rows
}

func keyCell(i *health.Issuer) string {
	kind := keyType(i)
	if i.ManagedKey == "" {
		return kind + ", not here"
	}
	return kind + ", " + i.ManagedKey
}

func keyType(i *health.Issuer) string {
	if k, ok := i.Certificate.PublicKey.(*ecdsa.PublicKey); ok {
		return k.Curve.Params().Name
	}
	return keyName(i.Certificate)
}

func crlCell(i *health.Issuer, now time.Time) string {
	switch {
	case i.ManagedKey == "":
		return ""
	case i.CRL == nil:
		return "none: " + i.CRLError
	}
	cell := fmt.Sprintf("number %v, %d entries, %s old, good for %s", i.CRL.Number, len(i.CRL.RevokedCertificateEntries), spanOf(now.Sub(i.CRL.ThisUpdate)), spanOf(i.CRL.NextUpdate.Sub(now)))
	if i.Delta != nil {
		cell += fmt.Sprintf("; delta %v", i.Delta.Number)
	}
	return cell
}

// spanOf writes a duration in its largest unit.
func spanOf(d time.Duration) string {
	switch {
	case d < 0:
		return "ended " + spanOf(-d) + " ago"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func shownAll(branches []*branch) []shownIssuer {
	all := []shownIssuer{}
	for _, b := range branches {
		i := shownIssuer{
			ID: b.ID, Name: b.Name, Default: b.Default, Subject: b.Certificate.Subject.String(), Serial: colonHex(b.Certificate.SerialNumber.Bytes()),
			KeyType: keyType(b.Issuer), ManagedKey: b.ManagedKey, NotAfter: b.Certificate.NotAfter.UTC().Format(time.RFC3339), Usage: b.Usage,
			Issuers: shownAll(b.below),
		}
		if b.CRL != nil {
			i.CRLNumber, i.CRLEntries = b.CRL.Number.String(), len(b.CRL.RevokedCertificateEntries)
			i.CRLThisUpdate, i.CRLNextUpdate = b.CRL.ThisUpdate.UTC().Format(time.RFC3339), b.CRL.NextUpdate.UTC().Format(time.RFC3339)
		}
		all = append(all, i)
	}
	return all
}

func colonHex(octets []byte) string {
	parts := make([]string, len(octets))
	for i, o := range octets {
		parts[i] = fmt.Sprintf("%02x", o)
	}
	return strings.Join(parts, ":")
}
