// Package manual makes a program's manual page and its completions for shells
// out of its commands, so that they say what the program does. It knows no
// command. Start at [Command].
package manual

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

//go:embed completion.bash
var bash string

//go:embed completion.zsh
var zsh string

// Command is the hidden command that prints them; packaging runs it.
func Command() *cli.Command {
	script := func(text string) func(*cli.App) (string, error) {
		return func(app *cli.App) (string, error) { return strings.ReplaceAll(text, "PROGRAM", app.Name), nil }
	}
	return &cli.Command{
		Name:            "manual",
		Usage:           "print the manual page, or the completions of a shell",
		Hidden:          true,
		HideHelpCommand: true,
		Subcommands: []*cli.Command{
			printer("man", "the manual page", (*cli.App).ToMan),
			printer("bash", "completions for bash", script(bash)),
			printer("zsh", "completions for zsh", script(zsh)),
			printer("fish", "completions for fish", (*cli.App).ToFishCompletion),
		},
	}
}

func printer(name, usage string, text func(*cli.App) (string, error)) *cli.Command {
	return &cli.Command{
		Name:  name,
		Usage: usage,
		Action: func(c *cli.Context) error {
			out, err := text(whole(c))
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(c.App.Writer, out)
			return err
		},
	}
}

// whole is the program's own App: a command with subcommands runs in one of its
// own.
func whole(c *cli.Context) *cli.App {
	lineage := c.Lineage()
	for i := len(lineage) - 1; i >= 0; i-- {
		if app := lineage[i].App; app != nil {
			return app
		}
	}
	return c.App
}
