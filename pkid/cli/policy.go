package cli

import (
	"fmt"
	"net/http"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/client"
)

func policyCommand() *cli.Command {
	return &cli.Command{
		Name:  "policy",
		Usage: "write, read, list and delete policies",
		Subcommands: []*cli.Command{
			{
				Name: "write", Usage: "write a policy from a file, or - for standard input", ArgsUsage: "NAME FILE",
				Description: "   pkid policy write issuer issuer.hcl",
				Flags:       flags(formatFlag()), Action: runPolicyWrite,
			},
			{Name: "read", Usage: "show a policy's text", ArgsUsage: "NAME", Flags: flags(formatFlag()), Action: runPolicyRead},
			{Name: "list", Usage: "list the policies", Flags: flags(formatFlag()), Action: runPolicyList},
			{Name: "delete", Usage: "delete a policy", ArgsUsage: "NAME", Flags: flags(formatFlag()), Action: runPolicyDelete},
		},
	}
}

// policies is where they lie.
const policies = "sys/policies/acl"

func runPolicyWrite(c *cli.Context) error {
	if c.NArg() != 2 {
		return fail("expected a name and a file, got %d arguments", c.NArg())
	}
	s, name, err := openPath(c, true)
	if err != nil {
		return err
	}
	from := "policy=@" + c.Args().Get(1)
	if c.Args().Get(1) == "-" {
		from = "policy=-"
	}
	data, err := parseData([]string{from}, c.App.Reader)
	if err != nil {
		return fail("%v", err)
	}
	answer, err := s.Do(c.Context, &client.Request{Method: http.MethodPut, Path: policies + "/" + name, Body: data})
	if err != nil {
		return explain("Error uploading policy", err)
	}
	return s.showWritten(answer, "Success! Uploaded policy: "+name)
}

func runPolicyRead(c *cli.Context) error {
	s, name, err := openPath(c, false)
	if err != nil {
		return err
	}
	answer, err := s.Do(c.Context, &client.Request{Method: http.MethodGet, Path: policies + "/" + name})
	if isNothing(err) {
		return nothing(policies + "/" + name)
	}
	if err != nil {
		return explain("Error reading policy named "+name, err)
	}
	if s.format != "table" {
		return s.encode(answer.Secret.Data)
	}
	_, err = fmt.Fprintln(s.out, text(answer.Secret.Data["policy"]))
	return err
}

func runPolicyList(c *cli.Context) error {
	if c.NArg() > 0 {
		return fail("Too many arguments (expected 0, got %d)", c.NArg())
	}
	s, err := open(c)
	if err != nil {
		return err
	}
	keys, _, err := s.list(policies)
	if err != nil {
		return err
	}
	if s.format != "table" {
		return s.encode(keys)
	}
	for _, name := range keys {
		if _, err := fmt.Fprintln(s.out, text(name)); err != nil {
			return err
		}
	}
	return nil
}

func runPolicyDelete(c *cli.Context) error {
	s, name, err := openPath(c, false)
	if err != nil {
		return err
	}
	answer, err := s.Do(c.Context, &client.Request{Method: http.MethodDelete, Path: policies + "/" + name})
	if err != nil {
		return explain("Error deleting "+name, err)
	}
	return s.showWritten(answer, "Success! Deleted policy: "+name)
}
