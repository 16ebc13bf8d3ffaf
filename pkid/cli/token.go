package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/client"
)

func tokenCommand() *cli.Command {
	return &cli.Command{
		Name:  "token",
		Usage: "create, look up, renew and revoke tokens",
		Subcommands: []*cli.Command{
			{
				Name: "create", Usage: "make a token, a child of the caller's", Action: runTokenCreate,
				Description: "   pkid token create -policy=issuer -ttl=1h\n   pkid token create -role=ci -metadata=job=build",
				Flags:       flags(append(wishes(), formatFlag(), fieldFlag(), wrapFlag())...),
			},
			{
				Name: "lookup", Usage: "tell of a token; of the caller's own by default", ArgsUsage: "[TOKEN | ACCESSOR]",
				Flags: flags(formatFlag(), fieldFlag(), byAccessor()), Action: runTokenLookup,
			},
			{
				Name: "renew", Usage: "put off the end of a token; of the caller's own by default", ArgsUsage: "[TOKEN | ACCESSOR]",
				Flags: flags(formatFlag(), fieldFlag(), byAccessor(),
					&cli.StringFlag{Name: "increment", Aliases: []string{"i"}, Usage: "how `long` it shall go on from now"}),
				Action: runTokenRenew,
			},
			{
				Name: "revoke", Usage: "end a token, and those that were made by it", ArgsUsage: "[TOKEN | ACCESSOR | PATH]",
				Flags: flags(formatFlag(), byAccessor(),
					&cli.BoolFlag{Name: "self", Usage: "the caller's own"},
					&cli.StringFlag{Name: "mode", Usage: "orphan: leave those that it made; path: all that were made under a path"}),
				Action: runTokenRevoke,
			},
			{
				Name: "capabilities", Usage: "tell what a token may do with a path; the caller's own by default", ArgsUsage: "[TOKEN | ACCESSOR] PATH",
				Flags: flags(formatFlag(), byAccessor()), Action: runTokenCapabilities,
			},
		},
	}
}

func byAccessor() cli.Flag {
	return &cli.BoolFlag{Name: "accessor", Usage: "the argument is an accessor"}
}

// wishes are what a new token shall be, by Vault's names for the flags.
func wishes() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "policy", Usage: "a `policy` of it; may be repeated (else those of the caller)"},
		&cli.BoolFlag{Name: "no-default-policy", Usage: "without the policy default"},
		&cli.StringFlag{Name: "ttl", Usage: "how `long` it lives until it is renewed"},
		&cli.StringFlag{Name: "explicit-max-ttl", Usage: "how `long` it lives at most, whatever is renewed"},
		&cli.StringFlag{Name: "period", Usage: "how `long` each renewal gives it, without a maximum"},
		&cli.BoolFlag{Name: "renewable", Value: true, Usage: "may it be renewed"},
		&cli.BoolFlag{Name: "orphan", Usage: "without a parent whose end is its own"},
		&cli.IntFlag{Name: "use-limit", Usage: "how `often` it can be used (0: no limit)"},
		&cli.StringFlag{Name: "display-name", Usage: "a `name` for the log"},
		&cli.StringSliceFlag{Name: "metadata", Usage: "`KEY=VALUE`; may be repeated"},
		&cli.StringFlag{Name: "role", Usage: "the `role` to make it by"},
		&cli.StringFlag{Name: "type", Usage: "service"},
		&cli.StringFlag{Name: "id", Usage: "the `token` itself, chosen (root only)"},
	}
}

func runTokenCreate(c *cli.Context) error {
	if c.NArg() > 0 {
		return fail("Too many arguments (expected 0, got %d)", c.NArg())
	}
	s, err := open(c)
	if err != nil {
		return err
	}
	body := map[string]any{}
	for flag, parameter := range map[string]string{
		"ttl": "ttl", "explicit-max-ttl": "explicit_max_ttl", "period": "period", "display-name": "display_name", "type": "type", "id": "id",
	} {
		if c.String(flag) != "" {
			body[parameter] = c.String(flag)
		}
	}
	for flag, parameter := range map[string]string{"no-default-policy": "no_default_policy", "orphan": "no_parent", "renewable": "renewable"} {
		if c.IsSet(flag) {
			body[parameter] = c.Bool(flag)
		}
	}
	if c.IsSet("policy") {
		body["policies"] = c.StringSlice("policy")
	}
	if c.IsSet("use-limit") {
		body["num_uses"] = c.Int("use-limit")
	}
	if c.IsSet("metadata") {
		meta, err := metadata(c.StringSlice("metadata"))
		if err != nil {
			return err
		}
		body["meta"] = meta
	}
	path := "auth/token/create"
	if role := c.String("role"); role != "" {
		path += "/" + role
	}
	secret, err := s.post(path, body)
	if err != nil {
		return explain("Error creating token", err)
	}
	return s.show(secret)
}

func metadata(given []string) (map[string]string, error) {
	meta := map[string]string{}
	for _, pair := range given {
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" {
			return nil, fail("-metadata=%s: must be KEY=VALUE", redactPair(pair))
		}
		meta[key] = value
	}
	return meta, nil
}

// named gives the token or accessor that a command is about, under the name that
// the API has for it; nothing, if it is the caller's own.
func named(c *cli.Context) (variant string, body map[string]any, err error) {
	byAccessor := c.Bool("accessor")
	switch {
	case c.NArg() > 1:
		return "", nil, fail("Too many arguments (expected 0 or 1, got %d)", c.NArg())
	case c.NArg() == 0 && byAccessor:
		return "", nil, fail("Not enough arguments with -accessor (expected 1, got 0)")
	case c.NArg() == 0:
		return "-self", map[string]any{}, nil
	case byAccessor:
		return "-accessor", map[string]any{"accessor": c.Args().First()}, nil
	}
	return "", map[string]any{"token": c.Args().First()}, nil
}

func runTokenLookup(c *cli.Context) error {
	variant, body, err := named(c)
	if err != nil {
		return err
	}
	s, err := open(c)
	if err != nil {
		return err
	}
	var secret *client.Secret
	if variant == "-self" {
		secret, err = s.get("auth/token/lookup-self", url.Values{})
	} else {
		secret, err = s.post("auth/token/lookup"+variant, body)
	}
	if err != nil {
		return explain("Error looking up token", err)
	}
	return s.show(secret)
}

func runTokenRenew(c *cli.Context) error {
	variant, body, err := named(c)
	if err != nil {
		return err
	}
	s, err := open(c)
	if err != nil {
		return err
	}
	if increment := c.String("increment"); increment != "" {
		body["increment"] = increment
	}
	secret, err := s.post("auth/token/renew"+variant, body)
	if err != nil {
		return explain("Error renewing token", err)
	}
	return s.show(secret)
}

func runTokenRevoke(c *cli.Context) error {
	self, mode := c.Bool("self"), c.String("mode")
	variant, body, err := named(c)
	switch {
	case err != nil:
		return err
	case self && (c.NArg() > 0 || mode != "" || c.Bool("accessor")):
		return fail("-self goes with no argument and no other choice")
	case !self && c.NArg() == 0:
		return fail("Not enough arguments (expected a token, or -self)")
	case mode != "" && c.Bool("accessor"):
		return fail("-accessor cannot be used with -mode")
	case mode != "" && mode != "orphan" && mode != "path":
		return fail("-mode=%s: must be orphan or path", mode)
	}
	s, err := open(c)
	if err != nil {
		return err
	}
	path := "auth/token/revoke" + variant
	switch mode {
	case "orphan":
		path = "auth/token/revoke-orphan"
	case "path":
		prefix, err := cleanPath(c.Args().First())
		if err != nil {
			return err
		}
		path, body = "sys/leases/revoke-prefix/"+prefix, nil
	}
	answer, err := s.Do(c.Context, &client.Request{Method: http.MethodPut, Path: path, Body: body})
	if err != nil {
		return explain("Error revoking token", err)
	}
	return s.showWritten(answer, "Success! Revoked token (if it existed)")
}

func runTokenCapabilities(c *cli.Context) error {
	args := c.Args().Slice()
	if len(args) == 0 || len(args) > 2 || len(args) == 1 && c.Bool("accessor") {
		return fail("expected a path, or a token or accessor and a path; got %d arguments", len(args))
	}
	s, err := open(c)
	if err != nil {
		return err
	}
	asked := args[len(args)-1]
	at, body := "sys/capabilities-self", map[string]any{"paths": []string{asked}}
	switch {
	case c.Bool("accessor"):
		at, body["accessor"] = "sys/capabilities-accessor", args[0]
	case len(args) == 2:
		at, body["token"] = "sys/capabilities", args[0]
	}
	secret, err := s.post(at, body)
	if err != nil {
		return explain("Error listing capabilities", err)
	}
	found := names(secret.Data[asked])
	slices.Sort(found)
	if s.format != "table" {
		return s.encode(found)
	}
	_, err = fmt.Fprintln(s.out, strings.Join(found, ", "))
	return err
}
