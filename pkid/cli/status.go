package cli

import (
	"net/http"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/client"
)

func statusCommand() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "print the server's state",
		Description: `   Exit codes: 0 the server is ready, 1 it cannot be asked, 2 it is sealed.

   pkid status -format=json`,
		Flags: flags(formatFlag()),
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return fail("Too many arguments (expected 0, got %d)", c.NArg())
			}
			s, err := open(c)
			if err != nil {
				return err
			}
			answer, err := s.Do(c.Context, &client.Request{Method: http.MethodGet, Path: "sys/seal-status"})
			if err != nil {
				return fail("Error checking seal status: %v", err)
			}
			if answer.Secret == nil {
				return fail("Error checking seal status: the answer is no JSON")
			}
			if s.format != "table" {
				err = s.encode(answer.Secret.Bare)
			} else {
				err = s.table([]string{"Key", "Value"}, statusRows(answer.Secret.Bare))
			}
			if err == nil && answer.Secret.Bare["sealed"] == true {
				return cli.Exit("", exitServer)
			}
			return err
		},
	}
}

// statusRows are the fields with the names that Vault's CLI gives them.
func statusRows(fields map[string]any) [][]string {
	rows := [][]string{}
	for _, row := range [][2]string{
		{"Seal Type", "type"}, {"Initialized", "initialized"}, {"Sealed", "sealed"}, {"Total Shares", "n"}, {"Threshold", "t"},
		{"Version", "version"}, {"Storage Type", "storage_type"}, {"Cluster Name", "cluster_name"}, {"pkid Version", "pkid_version"},
	} {
		if value, ok := fields[row[1]]; ok {
			rows = append(rows, []string{row[0], text(value)})
		}
	}
	return rows
}
