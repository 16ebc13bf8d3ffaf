package cli

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

func certsCommand() *cli.Command {
	return &cli.Command{
		Name:  "certs",
		Usage: "find certificates by name, issuer, role, end and revocation",
		Description: `   In order of expiry. Conditions that are given all have to hold.

   pkid certs
   pkid certs -expiring=30d                   # still valid, but not in 30 days
   pkid certs -name='*.example.com' -role=web -format=json
   pkid certs -mount=team/pki -revoked -limit=1000`,
		Flags: flags(formatFlag(),
			&cli.StringFlag{Name: "mount", Value: "pki", Usage: "`path` of the CA"},
			&cli.StringFlag{Name: "name", Usage: "a `name` in it, common or alternative; *.example.com is all names below"},
			&cli.StringFlag{Name: "cn", Usage: "the subject's common `name`"},
			&cli.StringFlag{Name: "issuer", Usage: "its issuer's id or `name`"},
			&cli.StringFlag{Name: "role", Usage: "the `role` that it was issued under"},
			&cli.StringFlag{Name: "expiring", Usage: "valid now, and ending within this `duration` (30d)"},
			&cli.StringFlag{Name: "expires-after", Usage: "ending at or after this `time`, or duration from now"},
			&cli.StringFlag{Name: "expires-before", Usage: "ending before this `time`, or duration from now"},
			&cli.BoolFlag{Name: "revoked", Usage: "revoked; -revoked=false: not revoked"},
			&cli.StringFlag{Name: "after", Usage: "go on `where` the output before said"},
			&cli.IntFlag{Name: "limit", Value: 100, Usage: "at most `N`"},
		),
		Action: runCerts,
	}
}

// listed is one row of the table.
type listed struct {
	Serial     string   `json:"serial_number" yaml:"serial_number"`
	CommonName string   `json:"common_name" yaml:"common_name"`
	Subject    string   `json:"subject" yaml:"subject"`
	Names      []string `json:"names" yaml:"names"`
	IssuerID   string   `json:"issuer_id" yaml:"issuer_id"`
	IssuerName string   `json:"issuer_name" yaml:"issuer_name"`
	Role       string   `json:"role" yaml:"role"`
	Requester  string   `json:"requester" yaml:"requester"`
	NotBefore  string   `json:"not_before" yaml:"not_before"`
	NotAfter   string   `json:"not_after" yaml:"not_after"`
	State      string   `json:"state" yaml:"state"`
	Revoked    string   `json:"revocation_time,omitempty" yaml:"revocation_time,omitempty"`
	Reason     string   `json:"revocation_reason,omitempty" yaml:"revocation_reason,omitempty"`
}

func runCerts(c *cli.Context) error {
	s, mount, err := openMountAlone(c)
	if err != nil {
		return err
	}
	query, err := certsQuery(c)
	if err != nil {
		return err
	}
	rows, next, err := s.find(mount, query, c.Int("limit"))
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return nothing(mount + "/certs/detailed")
	}
	if s.format != "table" {
		err = s.encode(rows)
	} else {
		err = s.table([]string{"Serial number", "Names", "Role", "Issuer", "Not after", "State"}, cellsOf(rows))
	}
	if err == nil && next != "" {
		fmt.Fprintf(s.errOut, "There are more: go on with -after=%s\n", next)
	}
	return err
}

// certsQuery turns the flags into the parameters of certs/detailed.
func certsQuery(c *cli.Context) (url.Values, error) {
	query := url.Values{"list": {"true"}}
	for flag, parameter := range map[string]string{
		"name": "name", "cn": "common_name", "issuer": "issuer", "role": "role", "after": "after",
		"expires-after": "expires_after", "expires-before": "expires_before",
	} {
		if v := c.String(flag); v != "" {
			query.Set(parameter, v)
		}
	}
	if c.IsSet("revoked") {
		query.Set("revoked", strconv.FormatBool(c.Bool("revoked")))
	}
	if within := c.String("expiring"); within != "" {
		if c.IsSet("expires-after") || c.IsSet("expires-before") {
			return nil, fail("-expiring goes without -expires-after and -expires-before")
		}
		d, err := vaultapi.ParseDuration(within)
		if err != nil || d <= 0 {
			return nil, fail("-expiring=%s: must be a duration such as 30d or 72h", within)
		}
		query.Set("expires_after", "0")
		query.Set("expires_before", strconv.Itoa(int(d.Seconds())))
	}
	if limit := c.Int("limit"); limit < 1 {
		return nil, fail("-limit=%d: must be at least 1", limit)
	}
	return query, nil
}

// certsPage is how many certificates are asked for at a time.
const certsPage = 500

// find reads pages until there are enough.
func (s *session) find(mount string, query url.Values, limit int) (rows []listed, next string, err error) {
	for {
		query.Set("limit", strconv.Itoa(min(certsPage, limit-len(rows))))
		secret, err := s.get(mount+"/certs/detailed", query)
		if isNothing(err) {
			return rows, "", nil
		}
		if err != nil {
			return nil, "", explain("Error searching "+mount+"/certs/detailed", err)
		}
		data := secret.Data
		serials, _ := data["keys"].([]any)
		info, _ := data["key_info"].(map[string]any)
		for _, serial := range serials {
			details, _ := info[text(serial)].(map[string]any)
			rows = append(rows, rowOf(text(serial), details))
		}
		next, _ = data["next"].(string)
		if next == "" || len(rows) >= limit {
			return rows, next, nil
		}
		query.Set("after", next)
	}
}

func rowOf(serial string, d map[string]any) listed {
	of := func(name string) string {
		v, _ := d[name].(string)
		return v
	}
	row := listed{
		Serial: serial, CommonName: of("common_name"), Subject: of("subject"), Names: []string{}, IssuerID: of("issuer_id"), IssuerName: of("issuer_name"),
		Role: of("role"), Requester: of("requester"), NotBefore: of("not_before"), NotAfter: of("not_after"), State: "valid",
		Revoked: of("revocation_time_rfc3339"), Reason: of("revocation_reason"),
	}
	names, _ := d["names"].([]any)
	for _, n := range names {
		row.Names = append(row.Names, text(n))
	}
	if end, err := time.Parse(time.RFC3339, row.NotAfter); err == nil && time.Now().After(end) {
		row.State = "expired"
	}
	if d["revoked"] == true {
		row.State = "revoked"
	}
	return row
}

// cellsOf shows the common name first, and each name once.
func cellsOf(rows []listed) [][]string {
	cells := make([][]string, len(rows))
	for i, r := range rows {
		names := []string{}
		if r.CommonName != "" {
			names = append(names, r.CommonName)
		}
		for _, n := range r.Names {
			if n != r.CommonName {
				names = append(names, n)
			}
		}
		state := r.State
		if r.State == "revoked" && r.Reason != "" && r.Reason != "unspecified" {
			state += " (" + r.Reason + ")"
		}
		cells[i] = []string{r.Serial, strings.Join(names, ","), r.Role, firstOf(r.IssuerName, r.IssuerID), r.NotAfter, state}
	}
	return cells
}
