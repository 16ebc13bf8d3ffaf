// Package cli holds pkid's client commands, one in each file, in Vault's own
// words: what is written for `vault` works by writing `pkid`. Beside them are
// those that a person wants: issue, certs, revoke, ca, health, tidy, audit and
// quickstart.
//
// The commands know paths of the API and how to print; they decide nothing.
// Start at [Commands]; [session] is what each of them works with.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/client"
)

// The exit codes of Vault's CLI.
const (
	exitLocal  = 1 // usage, or a failure on this side
	exitServer = 2 // the server's answer: an error, or nothing there
)

// Commands lists the client commands.
func Commands() []*cli.Command {
	commands := []*cli.Command{
		statusCommand(), readCommand(), writeCommand(), patchCommand(), listCommand(), deleteCommand(), secretsCommand(), authCommand(),
		pathHelpCommand(), issueCommand(), certsCommand(), revokeCommand(), caCommand(), healthCommand(), tidyCommand(),
		quickstartCommand(), policyCommand(), auditCommand(), loginCommand(), tokenCommand(), unwrapCommand(),
	}
	for _, c := range commands {
		harden(c)
	}
	return commands
}

// harden closes urfave/cli's traps: "help" as an argument is data, an unknown
// subcommand is an error that says so, and a wrong flag exits 1 in one line.
func harden(c *cli.Command) {
	c.HideHelpCommand = true
	c.OnUsageError = UsageError
	if len(c.Subcommands) > 0 && c.Action == nil {
		c.Action = UnknownCommand
	}
	for _, sub := range c.Subcommands {
		harden(sub)
	}
}

// UnknownCommand is the action of a command that only has subcommands.
func UnknownCommand(c *cli.Context) error {
	if name := c.Args().First(); name != "" && name != "help" {
		return fail("%q is no command of %q; try %q", name, c.Command.HelpName, c.Command.HelpName+" -h")
	}
	return cli.ShowSubcommandHelp(c)
}

// CommandHelp shows what "pkid help NAME" asks for.
func CommandHelp(c *cli.Context, name string) error {
	command := c.App.Command(name)
	switch {
	case command == nil:
		return fail("%q is no command of %q; try %q", name, c.App.Name, c.App.Name+" -h")
	case len(command.Subcommands) > 0:
		return c.App.RunContext(c.Context, []string{c.App.Name, name})
	}
	return cli.ShowCommandHelp(c, name)
}

// UsageError reports a flag that does not parse.
func UsageError(c *cli.Context, err error, _ bool) error {
	return fail("%v; try %q", err, c.Command.HelpName+" -h")
}

// ExitCode is the process's exit code for what a command returned.
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	if coder, ok := errors.AsType[cli.ExitCoder](err); ok {
		return coder.ExitCode()
	}
	if _, ok := errors.AsType[*client.ResponseError](err); ok {
		return exitServer
	}
	return exitLocal
}

// fail is an error on this side.
func fail(format string, args ...any) error {
	return cli.Exit(fmt.Sprintf(format, args...), exitLocal)
}

// nothing is Vault's answer to reading what is not there.
func nothing(path string) error {
	return cli.Exit("No value found at "+path, exitServer)
}

// session is one run of a command: where it asks, and how it prints.
type session struct {
	*client.Client
	ctx    *cli.Context
	out    io.Writer
	errOut io.Writer
	format string
	field  string
}

// open reads the common flags and the environment.
func open(c *cli.Context) (*session, error) {
	s := &session{ctx: c, out: c.App.Writer, errOut: c.App.ErrWriter, field: c.String("field")}
	s.format = c.String("format")
	if s.format == "" {
		s.format = firstOf(os.Getenv("PKID_FORMAT"), os.Getenv("VAULT_FORMAT"), "table")
	}
	switch s.format {
	case "table", "json", "yaml":
	default:
		return nil, fail("-format=%s: must be table, json or yaml", s.format)
	}
	home, _ := os.UserHomeDir()
	cfg, err := client.FromEnvironment(c.String("address"), os.Getenv, home)
	if err != nil {
		return nil, fail("%v", err)
	}
	cfg.Namespace = firstOf(c.String("namespace"), cfg.Namespace)
	cfg.WrapTTL = c.String("wrap-ttl")
	cfg.TLS.CACert = firstOf(c.String("ca-cert"), cfg.TLS.CACert)
	cfg.TLS.CAPath = firstOf(c.String("ca-path"), cfg.TLS.CAPath)
	cfg.TLS.ClientCert = firstOf(c.String("client-cert"), cfg.TLS.ClientCert)
	cfg.TLS.ClientKey = firstOf(c.String("client-key"), cfg.TLS.ClientKey)
	cfg.TLS.ServerName = firstOf(c.String("tls-server-name"), cfg.TLS.ServerName)
	cfg.TLS.SkipVerify = cfg.TLS.SkipVerify || c.Bool("tls-skip-verify")
	if s.Client, err = client.New(cfg); err != nil {
		return nil, fail("%v", err)
	}
	s.warnLateFlags()
	return s, nil
}

// warnLateFlags says, as Vault does, that a flag after an argument is data.
func (s *session) warnLateFlags() {
	late := []string{}
	for _, arg := range s.ctx.Args().Slice() {
		if strings.HasPrefix(arg, "-") && arg != "-" {
			late = append(late, arg)
		}
	}
	if len(late) > 0 {
		fmt.Fprintf(s.errOut, "Command flags must be provided before positional arguments. "+
			"The following arguments will not be parsed as flags: [%s]\n", strings.Join(late, ","))
	}
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
