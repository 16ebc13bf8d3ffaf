package cli

import (
	"fmt"
	"net/http"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/client"
)

func writeCommand() *cli.Command {
	return &cli.Command{
		Name:      "write",
		Usage:     "write parameters to a path",
		ArgsUsage: "PATH [KEY=VALUE | KEY=@FILE | KEY=- | @FILE.json | -]...",
		Description: `   pkid write pki/roles/web allowed_domains=example.com allow_subdomains=true
   pkid write -field=certificate pki/sign/web csr=@web.csr common_name=web.example.com
   pkid write -f sys/managed-keys/pkcs11/ca-key/test/sign

   A PIN is kept out of the process list with pin=- or pin=@file.`,
		Flags: flags(formatFlag(), fieldFlag(), wrapFlag(),
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "write without any parameters"}),
		Action: runWrite,
	}
}

func runWrite(c *cli.Context) error {
	s, path, err := openPath(c, true)
	if err != nil {
		return err
	}
	if c.NArg() == 1 && !c.Bool("force") {
		return fail("Must supply data or use -force")
	}
	data, err := parseData(c.Args().Tail(), c.App.Reader)
	if err != nil {
		return fail("%v", err)
	}
	answer, err := s.Do(c.Context, &client.Request{Method: http.MethodPut, Path: path, Body: data})
	if err != nil {
		return explain("Error writing data to "+path, err)
	}
	return s.showWritten(answer, "Success! Data written to: "+path)
}

// showWritten prints what came back, or that there was nothing to come back.
func (s *session) showWritten(answer *client.Answer, success string) error {
	switch {
	case answer.Secret == nil && len(answer.Raw) > 0:
		_, err := s.out.Write(answer.Raw)
		return err
	case answer.Secret != nil && (answer.Secret.Data != nil || answer.Secret.Auth != nil || answer.Secret.WrapInfo != nil):
		return s.show(answer.Secret)
	case answer.Secret != nil:
		s.warn(answer.Secret.Warnings)
	}
	if s.field != "" {
		return fail("Field %q not present in secret", s.field)
	}
	if s.format == "table" {
		fmt.Fprintln(s.out, success)
	}
	return nil
}

func patchCommand() *cli.Command {
	return &cli.Command{
		Name:        "patch",
		Usage:       "change some parameters of what is under a path",
		ArgsUsage:   "PATH KEY=VALUE...",
		Description: "   pkid patch pki/roles/web max_ttl=24h",
		Flags:       flags(formatFlag(), fieldFlag(), &cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "without any parameters"}),
		Action: func(c *cli.Context) error {
			s, path, err := openPath(c, true)
			if err != nil {
				return err
			}
			if c.NArg() == 1 && !c.Bool("force") {
				return fail("Must supply data or use -force")
			}
			data, err := parseData(c.Args().Tail(), c.App.Reader)
			if err != nil {
				return fail("%v", err)
			}
			header := http.Header{"Content-Type": {"application/merge-patch+json"}}
			answer, err := s.Do(c.Context, &client.Request{Method: http.MethodPatch, Path: path, Body: data, Header: header})
			if err != nil {
				return explain("Error patching "+path, err)
			}
			return s.showWritten(answer, "Success! Data written to: "+path)
		},
	}
}
