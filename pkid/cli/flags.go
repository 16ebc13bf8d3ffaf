package cli

import "github.com/urfave/cli/v2"

// connection are the flags of every command that asks the server.
func connection() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "address", Usage: "unix:///path, https://host:port or http://loopback:port (else $PKID_ADDR, $VAULT_ADDR, unix:///run/pkid/pkid.sock)"},
		&cli.StringFlag{Name: "namespace", Aliases: []string{"ns"}, Usage: "sent as X-Vault-Namespace; there is only the root one"},
		&cli.StringFlag{Name: "ca-cert", Usage: "PEM `file` of certificates to trust (else $PKID_CACERT, $VAULT_CACERT)"},
		&cli.StringFlag{Name: "ca-path", Usage: "`folder` of such files"},
		&cli.StringFlag{Name: "client-cert", Usage: "PEM `file` of a TLS client certificate"},
		&cli.StringFlag{Name: "client-key", Usage: "PEM `file` of its key"},
		&cli.StringFlag{Name: "tls-server-name", Usage: "`name` to expect in the server's certificate"},
		&cli.BoolFlag{Name: "tls-skip-verify", Usage: "do not check the server's certificate (never in production)"},
	}
}

func formatFlag() cli.Flag {
	return &cli.StringFlag{Name: "format", Usage: "table, json or yaml (else $PKID_FORMAT, $VAULT_FORMAT, table)"}
}

func fieldFlag() cli.Flag {
	return &cli.StringFlag{Name: "field", Usage: "print only this `field` of the answer, bare"}
}

func flags(more ...cli.Flag) []cli.Flag { return append(more, connection()...) }
