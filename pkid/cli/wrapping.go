package cli

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/client"
)

// wrapFlag is of commands whose answer can be kept for another reader.
func wrapFlag() cli.Flag {
	return &cli.StringFlag{Name: "wrap-ttl", Usage: "have the answer kept for so `long` under a token that reads it once (pkid unwrap)"}
}

func unwrapCommand() *cli.Command {
	return &cli.Command{
		Name:      "unwrap",
		Usage:     "read an answer that is kept under a token, once",
		ArgsUsage: "[TOKEN]",
		Description: `   pkid write -wrap-ttl=5m pki/issue/web common_name=web.example.com    # prints wrapping_token
   pkid unwrap hvs.…                                                     # whoever has it, once

   Without an argument it is the token of the environment.`,
		Flags:  flags(formatFlag(), fieldFlag()),
		Action: runUnwrap,
	}
}

func runUnwrap(c *cli.Context) error {
	if c.NArg() > 1 {
		return fail("Too many arguments (expected 0 or 1, got %d)", c.NArg())
	}
	s, err := open(c)
	if err != nil {
		return err
	}
	id := c.Args().First()
	switch {
	case id != "": // as nobody: the token is all that it takes
		s.Client = s.WithToken(id)
	case !s.HasToken():
		return fail("which token? Give it as the argument, or set PKID_TOKEN; who you are on the socket says nothing of it")
	}
	secret, err := s.ask(&client.Request{Method: http.MethodPut, Path: "sys/wrapping/unwrap"})
	if refusal, is := errors.AsType[*client.ResponseError](err); is && id == "" && refusal.Status == http.StatusBadRequest {
		return cli.Exit(fmt.Sprintf("Error unwrapping: %v\n\nIt may be that the token of the environment is not a wrapping token: pkid unwrap TOKEN names one.", err), exitServer)
	}
	if err != nil {
		return explain("Error unwrapping", err)
	}
	return s.show(secret)
}

// showWrapped prints where an answer is kept, by the names of Vault's CLI.
func (s *session) showWrapped(secret *client.Secret) error {
	w := secret.WrapInfo
	rows := [][]string{
		{"wrapping_token", w.Token}, {"wrapping_accessor", w.Accessor}, {"wrapping_token_ttl", span(w.TTL)},
		{"wrapping_token_creation_time", w.CreationTime.Format(time.RFC3339)}, {"wrapping_token_creation_path", w.CreationPath},
	}
	if w.WrappedAccessor != "" {
		rows = append(rows, []string{"wrapped_accessor", w.WrappedAccessor})
	}
	if s.field != "" {
		for _, row := range rows {
			if row[0] == s.field {
				return s.showField(row[1])
			}
		}
		return fail("Field %q not present in secret", s.field)
	}
	if s.format != "table" {
		return s.encode(secret.Bare)
	}
	return s.table([]string{"Key", "Value"}, rows)
}
