package cli

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/client"
)

func readCommand() *cli.Command {
	return &cli.Command{
		Name:      "read",
		Usage:     "read what is under a path",
		ArgsUsage: "PATH [KEY=VALUE...]",
		Description: `   pkid read pki/roles/web
   pkid read -field=certificate pki/cert/ca
   pkid read -format=json sys/managed-keys/pkcs11/ca-key`,
		Flags:  flags(formatFlag(), fieldFlag(), wrapFlag()),
		Action: runRead,
	}
}

func runRead(c *cli.Context) error {
	s, path, err := openPath(c, true)
	if err != nil {
		return err
	}
	query, err := queryOf(c.Args().Tail(), c)
	if err != nil {
		return err
	}
	answer, err := s.Do(c.Context, &client.Request{Method: http.MethodGet, Path: path, Query: query})
	if isNothing(err) {
		return nothing(path)
	}
	if err != nil {
		return explain("Error reading "+path, err)
	}
	switch {
	case answer.Secret != nil && answer.Secret.Data == nil && len(answer.Secret.Warnings) == 0:
		answer.Secret.Data = answer.Secret.Bare // sys/health and its kin have no envelope
		return s.show(answer.Secret)
	case answer.Secret != nil:
		return s.show(answer.Secret)
	case len(answer.Raw) == 0:
		return nothing(path)
	}
	_, err = s.out.Write(answer.Raw) // DER or PEM, as it came
	return err
}

// openPath opens the session and takes the first argument as the path.
func openPath(c *cli.Context, more bool) (*session, string, error) {
	switch {
	case c.NArg() == 0:
		return nil, "", fail("Not enough arguments (expected the path); try %q", c.Command.HelpName+" -h")
	case c.NArg() > 1 && !more:
		return nil, "", fail("Too many arguments (expected 1, got %d)", c.NArg())
	}
	s, err := open(c)
	if err != nil {
		return nil, "", err
	}
	path, err := cleanPath(c.Args().First())
	return s, path, err
}

func queryOf(args []string, c *cli.Context) (url.Values, error) {
	data, err := parseData(args, c.App.Reader)
	if err != nil {
		return nil, fail("%v", err)
	}
	query := url.Values{}
	for k, v := range data {
		if list, ok := v.([]any); ok {
			for _, e := range list {
				query.Add(k, fmt.Sprint(e))
			}
			continue
		}
		query.Set(k, fmt.Sprint(v))
	}
	return query, nil
}

func isNothing(err error) bool {
	refusal, ok := errors.AsType[*client.ResponseError](err)
	return ok && refusal.NotFound()
}

// explain puts what was tried before what went wrong, and keeps the exit code.
func explain(doing string, err error) error {
	if refusal, ok := errors.AsType[*client.ResponseError](err); ok {
		return cli.Exit(fmt.Sprintf("%s: %v", doing, refusal), exitServer)
	}
	return fail("%s: %v", doing, err)
}
