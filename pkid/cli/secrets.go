package cli

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/client"
)

func secretsCommand() *cli.Command {
	return &cli.Command{
		Name:  "secrets",
		Usage: "enable, list, tune, move and disable mounts",
		Subcommands: []*cli.Command{
			{
				Name: "enable", Usage: "mount an engine", ArgsUsage: "TYPE",
				Description: "   pkid secrets enable -path=pki -max-lease-ttl=87600h pki",
				Flags:       flags(append(tunables(), mountFlags()...)...),
				Action:      engines.enable,
			},
			{
				Name: "list", Usage: "list the mounts", Flags: flags(formatFlag(), &cli.BoolFlag{Name: "detailed", Usage: "with TTLs and UUIDs"}),
				Action: engines.list,
			},
			{
				Name: "tune", Usage: "change a mount's settings", ArgsUsage: "PATH",
				Description: "   pkid secrets tune -allowed-managed-keys=ca-key pki",
				Flags:       flags(tunables()...),
				Action:      engines.tune,
			},
			{
				Name: "move", Usage: "move a mount with all its data", ArgsUsage: "FROM TO",
				Flags:  flags(),
				Action: runMove,
			},
			{
				Name: "disable", Usage: "unmount and forget all data of the mount (never keys in an HSM)", ArgsUsage: "PATH",
				Flags:  flags(),
				Action: engines.disable,
			},
		},
	}
}

// tunables are the settings of a mount, by Vault's names for the flags; the
// parameter is the flag with underscores.
func tunables() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "description", Usage: "a text for people"},
		&cli.StringFlag{Name: "default-lease-ttl", Usage: "`TTL` of a certificate where neither request nor role says one"},
		&cli.StringFlag{Name: "max-lease-ttl", Usage: "longest `TTL`"},
		&cli.StringFlag{Name: "listing-visibility", Usage: "unauth or hidden"},
		&cli.StringSliceFlag{Name: "allowed-managed-keys", Usage: "a managed key that the mount may use; may be repeated"},
		&cli.StringSliceFlag{Name: "passthrough-request-headers", Usage: "may be repeated"},
		&cli.StringSliceFlag{Name: "allowed-response-headers", Usage: "may be repeated"},
		&cli.StringSliceFlag{Name: "audit-non-hmac-request-keys", Usage: "may be repeated"},
		&cli.StringSliceFlag{Name: "audit-non-hmac-response-keys", Usage: "may be repeated"},
	}
}

func mountFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "path", Usage: "`path` of the mount (the type by default)"},
		&cli.BoolFlag{Name: "local"},
		&cli.BoolFlag{Name: "seal-wrap"},
		&cli.BoolFlag{Name: "force-no-cache"},
	}
}

// mounted is what is enabled at a path: an engine, or a way to log in.
type mounted struct {
	what     string // in Vault's words
	article  string // of what, where something was enabled
	at       string // the paths of the API that enable, list and disable
	tuneAt   string // and the one that changes settings
	settings func() []cli.Flag
}

var engines = mounted{what: "secrets engine", article: "the ", at: "sys/mounts", tuneAt: "sys/mounts/", settings: tunables}

// tuned gathers the settings that were given; an empty value counts as given,
// since it is how a list is cleared.
func (m mounted) tuned(c *cli.Context) map[string]any {
	out := map[string]any{}
	for _, f := range m.settings() {
		name := f.Names()[0]
		if !c.IsSet(name) {
			continue
		}
		parameter := strings.ReplaceAll(name, "-", "_")
		if _, isList := f.(*cli.StringSliceFlag); isList {
			out[parameter] = c.StringSlice(name)
			continue
		}
		out[parameter] = c.String(name)
	}
	return out
}

func (m mounted) enable(c *cli.Context) error {
	s, kind, err := openPath(c, false)
	if err != nil {
		return err
	}
	path, err := cleanPath(firstOf(c.String("path"), kind))
	if err != nil {
		return err
	}
	config := m.tuned(c)
	delete(config, "description")
	if c.Bool("force-no-cache") {
		config["force_no_cache"] = true
	}
	body := map[string]any{
		"type": kind, "description": c.String("description"), "config": config,
		"local": c.Bool("local"), "seal_wrap": c.Bool("seal-wrap"),
	}
	answer, err := s.Do(c.Context, &client.Request{Method: http.MethodPost, Path: m.at + "/" + path, Body: body})
	if err != nil {
		return explain("Error enabling", err)
	}
	return s.showWritten(answer, fmt.Sprintf("Success! Enabled %s%s %s at: %s/", m.article, kind, m.what, path))
}

func (m mounted) tune(c *cli.Context) error {
	s, path, err := openPath(c, false)
	if err != nil {
		return err
	}
	body := m.tuned(c)
	if len(body) == 0 {
		return fail("nothing to change: give one of the flags that %q lists", c.Command.HelpName+" -h")
	}
	answer, err := s.Do(c.Context, &client.Request{Method: http.MethodPost, Path: m.tuneAt + path + "/tune", Body: body})
	if err != nil {
		return explain("Error tuning "+m.what+" "+path+"/", err)
	}
	return s.showWritten(answer, fmt.Sprintf("Success! Tuned the %s at: %s/", m.what, path))
}

func (m mounted) disable(c *cli.Context) error {
	s, path, err := openPath(c, false)
	if err != nil {
		return err
	}
	answer, err := s.Do(c.Context, &client.Request{Method: http.MethodDelete, Path: m.at + "/" + path})
	if err != nil {
		return explain("Error disabling "+m.what+" at "+path+"/", err)
	}
	return s.showWritten(answer, fmt.Sprintf("Success! Disabled the %s (if it existed) at: %s/", m.what, path))
}

func runMove(c *cli.Context) error {
	if c.NArg() != 2 {
		return fail("Not enough arguments (expected 2, got %d)", c.NArg())
	}
	s, from, err := openPath(c, true)
	if err != nil {
		return err
	}
	to, err := cleanPath(c.Args().Get(1))
	if err != nil {
		return err
	}
	doing := fmt.Sprintf("Error moving secrets engine %s/ to %s/", from, to)
	answer, err := s.Do(c.Context, &client.Request{Method: http.MethodPost, Path: "sys/remount", Body: map[string]string{"from": from, "to": to}})
	if err != nil {
		return explain(doing, err)
	}
	var id string
	if answer.Secret != nil {
		id, _ = answer.Secret.Data["migration_id"].(string)
	}
	if err := s.awaitMove(id); err != nil {
		return explain(doing, err)
	}
	fmt.Fprintf(s.out, "Success! Finished moving secrets engine %s/ to %s/, with migration ID %s\n", from, to, id)
	return nil
}

// awaitMove polls until the server has moved the mount.
func (s *session) awaitMove(id string) error {
	for {
		answer, err := s.Do(s.ctx.Context, &client.Request{Method: http.MethodGet, Path: "sys/remount/status/" + id})
		if err != nil {
			return err
		}
		info := map[string]any{}
		if answer.Secret != nil {
			info, _ = answer.Secret.Data["migration_info"].(map[string]any)
		}
		switch info["status"] {
		case "success":
			return nil
		case "failure":
			return errors.New("the server reports that the move failed")
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-s.ctx.Context.Done():
			return s.ctx.Context.Err()
		}
	}
}

func (m mounted) list(c *cli.Context) error {
	if c.NArg() > 0 {
		return fail("Too many arguments (expected 0, got %d)", c.NArg())
	}
	s, err := open(c)
	if err != nil {
		return err
	}
	answer, err := s.Do(c.Context, &client.Request{Method: http.MethodGet, Path: m.at})
	if err != nil {
		return explain("Error listing "+m.what+"s", err)
	}
	if answer.Secret == nil {
		return fail("Error listing %ss: the answer is no JSON", m.what)
	}
	if s.format != "table" {
		return s.encode(answer.Secret.Data)
	}
	header := []string{"Path", "Type", "Accessor", "Description"}
	if c.Bool("detailed") {
		header = append(header, "Default TTL", "Max TTL", "UUID")
	}
	rows := [][]string{}
	for _, path := range sortedKeys(answer.Secret.Data) {
		one, _ := answer.Secret.Data[path].(map[string]any)
		row := []string{path, text(one["type"]), text(one["accessor"]), firstOf(text(one["description"]), "n/a")}
		if c.Bool("detailed") {
			config, _ := one["config"].(map[string]any)
			row = append(row, systemTTL(config["default_lease_ttl"]), systemTTL(config["max_lease_ttl"]), text(one["uuid"]))
		}
		rows = append(rows, row)
	}
	return s.table(header, rows)
}

func systemTTL(v any) string {
	if t := text(v); t != "0" && t != "n/a" {
		return t
	}
	return "system"
}
