package cli

import (
	"encoding/pem"
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
		Description: `   Each argument is a serial number or a file with the certificate in PEM, of which the first counts. A certificate
   that was not issued here, or whose serial number only is known elsewhere, is given as a file. All are tried; the
   first that fails decides the exit code.

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
	for _, arg := range c.Args().Slice() {
		if strings.HasPrefix(arg, "-") { // without its reason, a revocation is not what was meant
			return fail("%s: flags go before serial numbers and files; nothing was revoked", arg)
		}
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
		cert, err := firstCertificate(arg)
		if err != nil {
			return nil, err
		}
		body["certificate"] = cert
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

// firstCertificate gives the first certificate of a PEM file. Those of the CAs
// that often follow, as in what pkid issue writes, are not meant.
func firstCertificate(file string) (string, error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return "", fail("%s is no serial number, and no file that can be read: %v", file, err)
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return "", fail("%s has no certificate in it (PEM)", file)
		}
		if block.Type == "CERTIFICATE" {
			return string(pem.EncodeToMemory(block)), nil
		}
	}
}

// isSerial tells a serial number from the name of a file: it has hexadecimal
// digits and separators only, and there is no such file.
func isSerial(arg string) bool {
	if _, err := os.Stat(arg); err == nil {
		return false
	}
	return arg != "" && strings.Trim(arg, "0123456789abcdefABCDEF:-") == ""
}
