// Command hsmd holds CA keys so that nobody else has to. It loads PKCS#11
// libraries in worker processes, logs in to tokens, and answers a handful of
// operations on a Unix socket: it alone knows PINs, and it knows what it signs.
//
// Assume that an attacker runs code in whoever asks, pkid above all. Then no CA
// key and no PIN can be had from there, only what hsmd's configuration allows
// that peer can be asked, and what is signed is whole, well-formed and of four
// kinds. README.md says more.
//
// This package is wiring: one file for each command. Start at [serve], in
// server.go; what a request meets is in package server.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/config/manual"
)

// version is hsmd's.
const version = "0.1.0"

// Exit codes, as Vault's CLI has them.
const (
	exitLocal  = 1 // usage, or a failure on this side
	exitServer = 2 // what hsmd answered
)

func main() {
	// A worker is not a command for people, and is set up before anything that
	// is not its own has run.
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		runWorker()
		return
	}
	os.Exit(run(os.Args, os.Stdout, os.Stderr))
}

// run runs a command and gives the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	app := &cli.App{
		Name:                      "hsmd",
		Usage:                     "holds CA keys in HSMs, and signs with them what its configuration allows",
		Version:                   version,
		Commands:                  []*cli.Command{serverCommand(), checkCommand(), keyCommand(), auditCommand(), approvalsCommand(), approveCommand(), drillCommand(), manual.Command()},
		Action:                    unknownCommand,
		OnUsageError:              usageError,
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true,
		EnableBashCompletion:      true,
		Writer:                    stdout,
		ErrWriter:                 stderr,
		ExitErrHandler:            func(*cli.Context, error) {}, // run prints and exits
	}
	for _, c := range app.Commands {
		harden(c)
	}
	err := app.Run(args)
	if err == nil {
		return 0
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(stderr, text)
	}
	if coder, ok := errors.AsType[cli.ExitCoder](err); ok {
		return coder.ExitCode()
	}
	return exitLocal
}

// harden closes urfave/cli's traps: "help" as an argument is data, an unknown
// subcommand is an error that says so, and a wrong flag exits 1 in one line.
func harden(c *cli.Command) {
	c.HideHelpCommand = true
	c.OnUsageError = usageError
	if len(c.Subcommands) > 0 {
		c.Action = unknownCommand
	}
	for _, sub := range c.Subcommands {
		harden(sub)
	}
}

// unknownCommand is the action of what only has subcommands.
func unknownCommand(c *cli.Context) error {
	name := c.Args().First()
	full := strings.TrimSpace(c.Command.HelpName)
	if full == "" {
		full = c.App.Name
	}
	if name != "" && name != "help" {
		return fail("%q is no command of %q; try %q", name, full, full+" -h")
	}
	if c.Command.Name == "" || c.Command.HelpName == c.App.HelpName {
		return help(c, c.Args().Get(1))
	}
	return cli.ShowSubcommandHelp(c)
}

// help shows what "hsmd help" and "hsmd help NAME" ask for.
func help(c *cli.Context, name string) error {
	command := c.App.Command(name)
	switch {
	case name == "":
		return cli.ShowAppHelp(c)
	case command == nil:
		return fail("%q is no command of %q; try %q", name, c.App.Name, c.App.Name+" -h")
	case len(command.Subcommands) > 0:
		return c.App.RunContext(c.Context, []string{c.App.Name, name})
	}
	return cli.ShowCommandHelp(c, name)
}

func usageError(c *cli.Context, err error, _ bool) error {
	name := c.Command.HelpName
	if name == "" {
		name = c.App.Name
	}
	return fail("%v; try %q", err, name+" -h")
}

// fail is an error on this side.
func fail(format string, args ...any) error {
	return cli.Exit(fmt.Sprintf(format, args...), exitLocal)
}

// arguments checks how many there are, and says as Vault does that a flag after
// an argument is none.
func arguments(c *cli.Context, count int) ([]string, error) {
	args := c.Args().Slice()
	var late []string
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") && arg != "-" {
			late = append(late, arg)
		}
	}
	if len(late) > 0 {
		fmt.Fprintf(c.App.ErrWriter, "Command flags must be provided before positional arguments. "+
			"The following arguments will not be parsed as flags: [%s]\n", strings.Join(late, ","))
	}
	if len(args) != count {
		return nil, fail("%s takes %d arguments, %d are given; try %q", c.Command.HelpName, count, len(args), c.Command.HelpName+" -h")
	}
	return args, nil
}

var configFlag = &cli.StringFlag{Name: "config", Usage: "the configuration `FILE`"}

// configPath is the argument of -config, which the commands with a
// configuration need, and which take no other argument.
func configPath(c *cli.Context) (string, error) {
	if _, err := arguments(c, 0); err != nil {
		return "", err
	}
	if c.String("config") == "" {
		return "", fail("%s needs -config=FILE; try %q", c.Command.HelpName, c.Command.HelpName+" -h")
	}
	return c.String("config"), nil
}
