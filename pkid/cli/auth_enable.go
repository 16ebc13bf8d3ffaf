package cli

import "github.com/urfave/cli/v2"

// authMethods are tuned where Vault's CLI does it.
var authMethods = mounted{what: "auth method", at: "sys/auth", tuneAt: "sys/mounts/auth/", settings: methodTunables}

func authCommand() *cli.Command {
	return &cli.Command{
		Name:  "auth",
		Usage: "enable, list, tune and disable ways to log in",
		Subcommands: []*cli.Command{
			{
				Name: "enable", Usage: "enable a way to log in", ArgsUsage: "TYPE",
				Description: "   pkid auth enable -path=ci approle",
				Flags: flags(append(methodTunables(), &cli.StringFlag{Name: "path", Usage: "`path` below auth/ (the type by default)"},
					&cli.BoolFlag{Name: "local"}, &cli.BoolFlag{Name: "seal-wrap"})...),
				Action: authMethods.enable,
			},
			{
				Name: "list", Usage: "list the ways to log in", Flags: flags(formatFlag(), &cli.BoolFlag{Name: "detailed", Usage: "with TTLs and UUIDs"}),
				Action: authMethods.list,
			},
			{
				Name: "tune", Usage: "change the settings of a way to log in", ArgsUsage: "PATH",
				Description: "   pkid auth tune -max-lease-ttl=1h ci",
				Flags:       flags(methodTunables()...),
				Action:      authMethods.tune,
			},
			{
				Name: "disable", Usage: "revoke all tokens that were made by it, and forget its roles", ArgsUsage: "PATH",
				Flags:  flags(),
				Action: authMethods.disable,
			},
		},
	}
}

// methodTunables are the settings of a way to log in.
func methodTunables() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "description", Usage: "a text for people"},
		&cli.StringFlag{Name: "default-lease-ttl", Usage: "`TTL` of a token where the role says none"},
		&cli.StringFlag{Name: "max-lease-ttl", Usage: "longest `TTL`"},
		&cli.StringFlag{Name: "listing-visibility", Usage: "unauth or hidden"},
		&cli.StringFlag{Name: "token-type", Usage: "default-service or service"},
	}
}
