package cli

import (
	"net/http"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/client"
)

func deleteCommand() *cli.Command {
	return &cli.Command{
		Name:        "delete",
		Usage:       "delete what is under a path",
		ArgsUsage:   "PATH [KEY=VALUE...]",
		Description: "   pkid delete pki/roles/web",
		Flags:       flags(formatFlag(), fieldFlag()),
		Action: func(c *cli.Context) error {
			s, path, err := openPath(c, true)
			if err != nil {
				return err
			}
			query, err := queryOf(c.Args().Tail(), c)
			if err != nil {
				return err
			}
			answer, err := s.Do(c.Context, &client.Request{Method: http.MethodDelete, Path: path, Query: query})
			if err != nil {
				return explain("Error deleting "+path, err)
			}
			return s.showWritten(answer, "Success! Data deleted (if it existed) at: "+path)
		},
	}
}
