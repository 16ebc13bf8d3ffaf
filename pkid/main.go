// Command pkid is a certificate authority that has no key: it speaks Vault's
// HTTP API, knows mounts, roles and issuers, keeps its state in Pebble, and has
// hsmd sign. It is also the client of that API, in the words of Vault's CLI.
//
// What strangers send is parsed here, so assume that one of them will one day
// run code in it: there is no CA key, no PIN of hsmd's configuration and no
// vendor's library to be had here.
//
// This package is wiring. Start at [serve], in server.go; the client commands
// are in package cli.
package main

import (
	"fmt"
	"io"
	"os"

	ucli "github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/config/manual"
	"github.com/hsmpki/hsmpki/pkid/cli"
)

// version is pkid's.
const version = "0.1.0"

func main() { os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }

// run runs a command and gives the exit code: 0, 1 for usage and local faults,
// 2 for the server's answer.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &ucli.App{
		Name:                      "pkid",
		Usage:                     "a certificate authority whose keys live in an HSM, with Vault's API",
		Version:                   version,
		Commands:                  append([]*ucli.Command{serverCommand(), cli.StorageCommand(restoreCommand())}, append(cli.Commands(), manual.Command())...),
		Action:                    rootAction,
		OnUsageError:              cli.UsageError,
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true,
		EnableBashCompletion:      true,
		Reader:                    stdin,
		Writer:                    stdout,
		ErrWriter:                 stderr,
		ExitErrHandler:            func(*ucli.Context, error) {}, // run prints and exits
	}
	err := app.Run(args)
	if err != nil && err.Error() != "" {
		fmt.Fprintln(stderr, err)
	}
	return cli.ExitCode(err)
}

// rootAction is pkid without a command, or with one that there is not.
func rootAction(c *ucli.Context) error {
	if c.Args().First() != "help" && c.NArg() > 0 {
		return cli.UnknownCommand(c)
	}
	if name := c.Args().Get(1); name != "" {
		return cli.CommandHelp(c, name)
	}
	return ucli.ShowAppHelp(c)
}
