package cli

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/client"
)

func certsCommand() *cli.Command {
	return &cli.Command{
		Name:  "certs",
		Usage: "list the certificates of a mount with their names and ends",
		Description: `   pkid certs
   pkid certs -mount=team/pki -limit=1000 -format=json`,
		Flags: flags(formatFlag(),
			&cli.StringFlag{Name: "mount", Value: "pki", Usage: "`path` of the CA"},
			&cli.StringFlag{Name: "after", Usage: "go on after this `serial` number"},
			&cli.IntFlag{Name: "limit", Value: 100, Usage: "at most `N`"},
		),
		Action: runCerts,
	}
}

// listed is one row of the table.
type listed struct {
	Serial    string   `json:"serial_number" yaml:"serial_number"`
	Subject   string   `json:"subject" yaml:"subject"`
	Names     []string `json:"names" yaml:"names"`
	Issuer    string   `json:"issuer" yaml:"issuer"`
	NotBefore string   `json:"not_before" yaml:"not_before"`
	NotAfter  string   `json:"not_after" yaml:"not_after"`
	State     string   `json:"state" yaml:"state"`
}

func runCerts(c *cli.Context) error {
	if c.NArg() > 0 {
		return fail("Too many arguments (expected 0, got %d); the mount is given with -mount", c.NArg())
	}
	s, err := open(c)
	if err != nil {
		return err
	}
	mount, err := cleanPath(c.String("mount"))
	if err != nil {
		return err
	}
	limit := c.Int("limit")
	if limit < 1 {
		return fail("-limit=%d: must be at least 1", limit)
	}
	query := url.Values{"list": {"true"}, "limit": {strconv.Itoa(limit + 1)}}
	if after := c.String("after"); after != "" {
		query.Set("after", after)
	}
	answer, err := s.Do(c.Context, &client.Request{Method: http.MethodGet, Path: mount + "/certs", Query: query})
	if isNothing(err) {
		return nothing(mount + "/certs")
	}
	if err != nil {
		return explain("Error listing "+mount+"/certs", err)
	}
	var serials []any
	if answer.Secret != nil {
		serials, _ = answer.Secret.Data["keys"].([]any)
	}
	more := len(serials) > limit
	rows := []listed{}
	for _, serial := range serials[:min(limit, len(serials))] {
		row, err := s.readCert(mount, text(serial))
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	if s.format != "table" {
		return s.encode(rows)
	}
	cells := make([][]string, len(rows))
	for i, r := range rows {
		cells[i] = []string{r.Serial, r.Subject, strings.Join(r.Names, ","), r.NotAfter, r.State}
	}
	if err := s.table([]string{"Serial number", "Subject", "Names", "Not after", "State"}, cells); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(s.errOut, "There are more: pkid certs -mount=%s -after=%s\n", mount, rows[len(rows)-1].Serial)
	}
	return nil
}

func (s *session) readCert(mount, serial string) (listed, error) {
	answer, err := s.Do(s.ctx.Context, &client.Request{Method: http.MethodGet, Path: mount + "/cert/" + serial})
	if err != nil {
		return listed{}, explain("Error reading certificate "+serial, err)
	}
	row := listed{Serial: serial, State: "unreadable"}
	if answer.Secret == nil {
		return row, nil
	}
	block, _ := pem.Decode([]byte(text(answer.Secret.Data["certificate"])))
	if block == nil {
		return row, nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return row, nil
	}
	row.Subject, row.Issuer = cert.Subject.String(), cert.Issuer.String()
	row.Names = append(append([]string{}, cert.DNSNames...), cert.EmailAddresses...)
	for _, ip := range cert.IPAddresses {
		row.Names = append(row.Names, ip.String())
	}
	for _, u := range cert.URIs {
		row.Names = append(row.Names, u.String())
	}
	row.NotBefore, row.NotAfter = cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339)
	switch {
	case text(answer.Secret.Data["revocation_time"]) != "0":
		row.State = "revoked"
	case time.Now().After(cert.NotAfter):
		row.State = "expired"
	default:
		row.State = "valid"
	}
	return row, nil
}
