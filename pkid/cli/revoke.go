package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
)

func revokeCommand() *cli.Command {
	return &cli.Command{
		Name:      "revoke",
		Usage:     "revoke certificates",
		ArgsUsage: "SERIAL|FILE…",
		Description: `   Each argument is a serial number or a file with the certificate in PEM. A certificate that was not issued here, or
   whose serial number only is known elsewhere, is given as a file. All are tried; the first that fails decides the
   exit code.

   pkid revoke 17:8f:4a:…
   pkid revoke -reason=keyCompromise web.example.com.crt`,
		Flags: flags(formatFlag(),
			&cli.StringFlag{Name: "mount", Value: "pki", Usage: "`path` of the CA"},
			&cli.StringFlag{Name: "reason", Usage: "`why`, as RFC 5280 calls it: keyCompromise, superseded, cessationOfOperation, …"},
			&cli.StringFlag{Name: "invalid-since", Usage: "the `time` since when it is not to be trusted (RFC 3339)"},
		),
		Action: runRevoke,
	}
}

func runRevoke(c *cli.Context) error {
	if c.NArg() == 0 {
		return fail("expected a serial number or a file; try %q", c.Command.HelpName+" -h")
	}
	s, mount, err := openMount(c)
	if err != nil {
		return err
	}
	var first error
	var rows [][]string
	answers := []map[string]any{}
	for _, arg := range c.Args().Slice() {
		data, err := s.revoke(mount, arg)
		if err != nil {
			fmt.Fprintln(s.errOut, err)
			if first == nil {
				first = err
			}
			continue
		}
		data["certificate"] = arg
		answers = append(answers, data)
		rows = append(rows, []string{arg, text(data["state"]), text(data["revocation_time_rfc3339"])})
	}
	switch {
	case len(rows) == 0:
	case s.format != "table":
		err = s.encode(answers)
	default:
		err = s.table([]string{"Certificate", "State", "Since"}, rows)
	}
	if first != nil {
		return cli.Exit("", ExitCode(first)) // what went wrong is said
	}
	return err
}

// revoke revokes what a serial number or a file names.
func (s *session) revoke(mount, arg string) (map[string]any, error) {
	body := map[string]any{}
	if isSerial(arg) {
		body["serial_number"] = arg
	} else {
		pem, err := os.ReadFile(arg)
		if err != nil {
			return nil, fail("%s is no serial number, and no file that can be read: %v", arg, err)
		}
		body["certificate"] = string(pem)
	}
	for flag, parameter := range map[string]string{"reason": "reason", "invalid-since": "invalidity_date"} {
		if v := s.ctx.String(flag); v != "" {
			body[parameter] = v
		}
	}
	secret, err := s.post(mount+"/revoke", body)
	if err != nil {
		return nil, explain("Error revoking "+arg, err)
	}
	data := map[string]any{"state": "not revoked"} // expired: the warning says so
	s.warn(secret.Warnings)
	if secret.Data != nil {
		data = secret.Data
	}
	return data, nil
}

// isSerial tells a serial number from the name of a file: it has hexadecimal
// digits and separators only, and there is no such file.
func isSerial(arg string) bool {
	if _, err := os.Stat(arg); err == nil {
		return false
	}
	return arg != "" && strings.Trim(arg, "0123456789abcdefABCDEF:-") == ""
}
