package cli

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/client"
)

// cleanPath takes a path as people write it: with or without slashes at the
// ends, or with the /v1/ of the HTTP API, which is dropped.
func cleanPath(path string) (string, error) {
	path = strings.Trim(path, "/")
	path = strings.TrimPrefix(path, "v1/")
	if path == "" || strings.ContainsAny(path, "?#\x00") {
		return "", fail("%q is no path of the API", path)
	}
	return path, nil
}

// openMount is open, and gives the path that the flag mount has.
func openMount(c *cli.Context) (*session, string, error) {
	s, err := open(c)
	if err != nil {
		return nil, "", err
	}
	mount, err := cleanPath(c.String("mount"))
	return s, mount, err
}

// openMountAlone is openMount for commands that take no arguments.
func openMountAlone(c *cli.Context) (*session, string, error) {
	if c.NArg() > 0 {
		return nil, "", fail("Too many arguments (expected 0, got %d); the mount is given with -mount", c.NArg())
	}
	return openMount(c)
}

func pathHelpCommand() *cli.Command {
	return &cli.Command{
		Name:        "path-help",
		Usage:       "print what a path is for",
		ArgsUsage:   "PATH",
		Description: "   pkid path-help pki/roles/web",
		Flags:       flags(),
		Action: func(c *cli.Context) error {
			s, path, err := openPath(c, false)
			if err != nil {
				return err
			}
			answer, err := s.Do(c.Context, &client.Request{Method: http.MethodGet, Path: path, Query: map[string][]string{"help": {"1"}}})
			if err != nil {
				return explain("Error retrieving help for "+path, err)
			}
			help := any(nil)
			if answer.Secret != nil {
				help = firstValue(answer.Secret.Bare["help"], answer.Secret.Data["help"])
			}
			if help == nil {
				return nothing(path)
			}
			fmt.Fprintln(s.out, text(help))
			return nil
		},
	}
}

func firstValue(values ...any) any {
	for _, v := range values {
		if v != nil {
			return v
		}
	}
	return nil
}
