package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/drill"
)

func drillCommand() *cli.Command {
	return &cli.Command{
		Name:  "drill",
		Usage: "try on a running hsmd what an attacker with this user's rights would",
		Description: "Run it as pkid's user. Each attempt is refused, or got; exit code 1 says that one was got that -admit\n" +
			"does not name, or that its end is not known. Of what is to be expected, hsmd check -exposure tells.\n\n" +
			"What it gets is of no use to anybody: certificates for a key that nobody has, CRLs and OCSP responses in\n" +
			"a name of its own. It makes no key and shows no PIN to a token. It leaves lines in hsmd's log, counts\n" +
			"in rates, and its requests wait for approval where people approve.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "address", Usage: "hsmd's socket, a `PATH`", Value: config.DefaultHSMDSocket},
			&cli.StringFlag{Name: "key", Usage: "only the key with this `NAME`"},
			&cli.StringFlag{Name: "dns", Usage: "a `NAME` that the key's constraints permit", Value: "hsmd-drill.example.com"},
			&cli.StringFlag{Name: "issuer", Usage: "the CA's certificate, a PEM `FILE`, for certificates in its name"},
			&cli.StringSliceFlag{Name: "admit", Usage: "an `ATTEMPT` that may be got; repeated"},
		},
		Action: runDrill,
	}
}

func runDrill(c *cli.Context) error {
	if _, err := arguments(c, 0); err != nil {
		return err
	}
	path := strings.TrimPrefix(c.String("address"), "unix://")
	target := drill.Target{Key: c.String("key"), DNSName: c.String("dns"), Dial: func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	if file := c.String("issuer"); file != "" {
		var err error
		if target.Issuer, err = readCertificate(file); err != nil {
			return fail("-issuer: %v", err)
		}
	}
	var results []drill.Result
	if err := drill.Run(c.Context, target, func(r drill.Result) { results = append(results, r) }); err != nil {
		return fail("drill at %s: %v", path, err)
	}
	return showDrill(c.App.Writer, results, c.StringSlice("admit"))
}

func readCertificate(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s does not begin with a certificate in PEM", file)
	}
	return x509.ParseCertificate(block.Bytes)
}

// showDrill prints the table, and fails where it has what nobody admitted. A name
// in admitted that is no attempt is a mistake that would hide nothing, and fails too.
func showDrill(out io.Writer, results []drill.Result, admitted []string) error {
	for _, name := range admitted {
		if !slices.ContainsFunc(results, func(r drill.Result) bool { return r.Attempt == name }) {
			return fail("-admit=%s: there is no such attempt", name)
		}
	}
	admitted = append(admitted, drill.Plain)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "Key\tAttempt\tEnd\tBy which rule, or what")
	fmt.Fprintln(table, "---\t-------\t---\t----------------------")
	var got, untold int
	for _, r := range results {
		end, words := string(r.Verdict), r.Words
		switch {
		case r.Verdict == drill.Got && slices.Contains(admitted, r.Attempt):
			end += ", admitted"
		case r.Verdict == drill.Got:
			got++
		case r.Verdict == drill.Untold:
			untold++
		}
		if r.Verdict == drill.Got && len(r.Message) > 0 {
			words = fmt.Sprintf("signed: SHA-256 %x", sha256.Sum256(r.Message))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", r.Key, r.Attempt, end, words)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		if r.Attempt == drill.Plain && r.Verdict == drill.Refused {
			fmt.Fprintf(out, "\n%s refuses the plain certificate too: other certificates may be refused for its reason (-dns, -issuer).\n", r.Key)
		}
	}
	fmt.Fprintf(out, "\n%d attempts, %d got that nobody admitted, %d whose end is not known.\n", len(results), got, untold)
	if got+untold > 0 {
		return cli.Exit("", exitLocal)
	}
	return nil
}
