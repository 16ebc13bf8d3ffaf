package cli

import (
	"net/http"
	"net/url"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/client"
)

func listCommand() *cli.Command {
	return &cli.Command{
		Name:        "list",
		Usage:       "list what is under a path",
		ArgsUsage:   "PATH",
		Description: "   pkid list pki/roles\n   pkid list -format=json pki/certs",
		Flags:       flags(formatFlag()),
		Action: func(c *cli.Context) error {
			s, path, err := openPath(c, false)
			if err != nil {
				return err
			}
			keys, secret, err := s.list(path)
			if err != nil {
				return err
			}
			s.warn(secret.Warnings)
			if s.format != "table" {
				return s.encode(keys)
			}
			rows := make([][]string, len(keys))
			for i, k := range keys {
				rows[i] = []string{text(k)}
			}
			return s.table([]string{"Keys"}, rows)
		},
	}
}

// list asks for the keys under a path; none is an error with exit code 2.
func (s *session) list(path string) ([]any, *client.Secret, error) {
	answer, err := s.Do(s.ctx.Context, &client.Request{Method: http.MethodGet, Path: path, Query: url.Values{"list": {"true"}}})
	if isNothing(err) {
		return nil, nil, nothing(path)
	}
	if err != nil {
		return nil, nil, explain("Error listing "+path, err)
	}
	if answer.Secret == nil {
		return nil, nil, nothing(path)
	}
	keys, ok := answer.Secret.Data["keys"].([]any)
	if !ok {
		return nil, nil, nothing(path)
	}
	return keys, answer.Secret, nil
}
