package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/client"
	"github.com/hsmpki/hsmpki/pkid/health"
)

func healthCommand() *cli.Command {
	return &cli.Command{
		Name:  "health",
		Usage: "look at a CA for what an operator should mend",
		Description: `   Looks at issuers, CRLs, roles, settings, tidying and hsmd, and prints what it finds, the bad first. Exit codes: 0, 1 if
   it could not look, and with -strict 3, 4 or 5 where the worst is informational, a warning or critical.

   pkid health
   pkid health -mount=team/pki -all -format=json
   pkid health -strict && echo well
   pkid health -list`,
		Flags: flags(formatFlag(),
			&cli.StringFlag{Name: "mount", Value: "pki", Usage: "`path` of the CA"},
			&cli.BoolFlag{Name: "all", Usage: "print what is well, too"},
			&cli.BoolFlag{Name: "list", Usage: "list the checks"},
			&cli.BoolFlag{Name: "strict", Usage: "exit with the worst status"},
		),
		Action: runHealth,
	}
}

// strictCodes are the exit codes of -strict.
var strictCodes = map[health.Status]int{health.Informational: 3, health.Warning: 4, health.Critical: 5}

func runHealth(c *cli.Context) error {
	s, mount, err := openMountAlone(c)
	if err != nil {
		return err
	}
	if c.Bool("list") {
		var rows [][]string
		for _, n := range health.Names() {
			rows = append(rows, n[:])
		}
		return s.table([]string{"Check", "Says that"}, rows)
	}
	facts, err := s.facts(mount)
	if err != nil {
		return err
	}
	results := health.Check(facts)
	if err := s.showHealth(results, c.Bool("all")); err != nil {
		return err
	}
	if code := strictCodes[health.Worst(results)]; c.Bool("strict") && code != 0 {
		return cli.Exit("", code)
	}
	return nil
}

// showHealth prints the worst first.
func (s *session) showHealth(results []health.Result, all bool) error {
	shown := []health.Result{}
	for status := health.Critical; status >= health.OK; status-- {
		for _, r := range results {
			if r.Status == status && (all || status >= health.Informational) {
				shown = append(shown, r)
			}
		}
	}
	if s.format != "table" {
		return s.encode(shown)
	}
	if len(shown) == 0 {
		fmt.Fprintln(s.out, "All is well.")
		return nil
	}
	rows := make([][]string, len(shown))
	for i, r := range shown {
		rows[i] = []string{r.Status.String(), r.Check, r.Endpoint, r.Message}
	}
	return s.table([]string{"Status", "Check", "Endpoint", "Message"}, rows)
}

// leavesLooked is how many of a root's certificates are looked at for leaves.
const leavesLooked = 100

// facts gathers what the checks look at. What the caller may not read, or is
// not there, is left out; no mount of that name is an error.
func (s *session) facts(mount string) (*health.Facts, error) {
	f := &health.Facts{Mount: mount, Now: time.Now(), Certificates: -1}
	tune, err := s.get("sys/mounts/"+mount+"/tune", nil)
	if err != nil {
		return nil, explain("Error reading the settings of "+mount, err)
	}
	f.Tune = tune.Data
	if f.Issuers, err = s.issuers(mount); err != nil {
		return nil, err
	}
	for n := range f.Issuers {
		if err := s.leaves(mount, &f.Issuers[n]); err != nil {
			return nil, err
		}
	}
	for path, to := range map[string]*map[string]any{"config/crl": &f.CRL, "config/lint": &f.Lint, "config/auto-tidy": &f.Tidy, "tidy-status": &f.TidyRan} {
		secret, err := s.get(mount+"/"+path, nil)
		if err != nil {
			return nil, explain("Error reading "+mount+"/"+path, err)
		}
		*to = secret.Data
	}
	if n, ok := f.TidyRan["current_cert_store_count"].(json.Number); ok {
		f.Certificates, _ = n.Int64()
	}
	if f.Roles, err = s.roles(mount); err != nil {
		return nil, err
	}
	f.HSM = s.hsm()
	return f, nil
}

func (s *session) roles(mount string) ([]health.Role, error) {
	listed, err := s.get(mount+"/roles", url.Values{"list": {"true"}})
	if isNothing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, explain("Error listing "+mount+"/roles", err)
	}
	var roles []health.Role
	names, _ := listed.Data["keys"].([]any)
	for _, name := range names {
		role, err := s.get(mount+"/roles/"+text(name), nil)
		if err != nil {
			return nil, explain("Error reading role "+text(name), err)
		}
		roles = append(roles, health.Role{Name: text(name), Fields: role.Data})
	}
	return roles, nil
}

// leaves looks among a root's valid certificates for some that are not a CA's.
func (s *session) leaves(mount string, i *health.Issuer) error {
	if i.Certificate.CheckSignatureFrom(i.Certificate) != nil {
		return nil
	}
	rows, _, err := s.find(mount, url.Values{"issuer": {i.ID}, "expires_after": {"0"}}, leavesLooked)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.Role != "" {
			i.Leaves = append(i.Leaves, row.Serial)
		}
	}
	return nil
}

// hsm asks how hsmd is.
func (s *session) hsm() *health.HSM {
	secret, err := s.get("sys/hsm/status", nil)
	if err != nil {
		if refusal, ok := errors.AsType[*client.ResponseError](err); ok {
			return &health.HSM{Error: strings.Join(refusal.Errors, "; ")} // one line in a table
		}
		return &health.HSM{Error: err.Error()}
	}
	h := &health.HSM{}
	libraries, _ := secret.Data["libraries"].([]any)
	for _, l := range libraries {
		fields, _ := l.(map[string]any)
		library := health.Library{Name: field(fields, "name"), Fault: field(fields, "fault")}
		tokens, _ := fields["tokens"].([]any)
		for _, t := range tokens {
			about, _ := t.(map[string]any)
			token := health.Token{Label: field(about, "label")}
			flags, _ := about["flags"].([]any)
			for _, f := range flags {
				token.Flags = append(token.Flags, text(f))
			}
			library.Tokens = append(library.Tokens, token)
		}
		h.Libraries = append(h.Libraries, library)
	}
	copies, _ := secret.Data["copies"].([]any)
	for _, c := range copies {
		fields, _ := c.(map[string]any)
		h.Copies = append(h.Copies, health.Copy{Key: field(fields, "key"), Library: field(fields, "library"),
			Token: cmp.Or(field(fields, "token_label"), field(fields, "token_serial"), field(fields, "slot")), Fault: field(fields, "fault")})
	}
	return h
}
