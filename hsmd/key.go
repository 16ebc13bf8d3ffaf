package main

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/wire"
)

func keyCommand() *cli.Command {
	address := &cli.StringFlag{Name: "address", Usage: "hsmd's socket, a `PATH`", Value: config.DefaultHSMDSocket}
	format := &cli.StringFlag{Name: "format", Usage: "table or json", Value: "table"}
	flags := []cli.Flag{address, format}
	return &cli.Command{
		Name:  "key",
		Usage: "ask a running hsmd for its keys",
		Subcommands: []*cli.Command{
			{
				Name:  "list",
				Usage: "list managed keys, and private keys on tokens that none of them names",
				Description: "Without -find it shows what hsmd knows already, and touches no token. Orphans show for tokens\n" +
					"that hsmd is logged in to.",
				Flags:  append([]cli.Flag{&cli.BoolFlag{Name: "find", Usage: "look for each key, logging in to its token"}}, flags...),
				Action: asking(0, keyList),
			},
			{
				Name:      "read",
				Usage:     "show one key's definition and public key",
				ArgsUsage: "NAME",
				Flags:     flags,
				Action:    asking(1, keyRead),
			},
			{
				Name:      "test",
				Usage:     "have a key sign a test message, and verify the signature here",
				ArgsUsage: "NAME",
				Flags:     flags,
				Action:    asking(1, keyTest),
			},
		},
	}
}

// question is one run of a command that asks hsmd.
type question struct {
	*wire.Client
	ctx  context.Context
	name string // the argument, if there is one
	find bool
	json bool
	out  io.Writer
}

// asking connects, asks, and turns hsmd's refusals into exit code 2.
func asking(count int, ask func(*question) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		args, err := arguments(c, count)
		if err != nil {
			return err
		}
		q := &question{out: c.App.Writer, find: c.Bool("find")}
		switch c.String("format") {
		case "table":
		case "json":
			q.json = true
		default:
			return fail("-format=%s: must be table or json", c.String("format"))
		}
		if count > 0 {
			q.name = args[0]
		}
		var cancel func()
		q.ctx, cancel = context.WithTimeout(c.Context, 2*time.Minute)
		defer cancel()
		if q.Client, err = dial(q.ctx, c.String("address")); err != nil {
			return fail("%v", err)
		}
		defer q.Close()
		err = ask(q)
		if e, ok := errors.AsType[*wire.Error](err); ok {
			return cli.Exit("hsmd: "+e.Error(), exitServer)
		}
		return err
	}
}

func dial(ctx context.Context, address string) (*wire.Client, error) {
	path := strings.TrimPrefix(address, "unix://")
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("no hsmd answers at %s: %w", path, err)
	}
	client, err := wire.NewClient(conn, wire.ClientConfig{Software: "hsmd key/" + version})
	if err != nil {
		return nil, fmt.Errorf("hsmd at %s hung up; most likely no client block of its configuration matches user %d: %w", path, os.Getuid(), err)
	}
	return client, nil
}

func keyList(q *question) error {
	described, err := q.Describe(q.ctx, &wire.DescribeRequest{Find: q.find})
	if err != nil {
		return err
	}
	status, err := q.Status(q.ctx, &wire.StatusRequest{})
	if err != nil {
		return err
	}
	orphans := findOrphans(described.Keys, status)
	if q.json {
		keys := make([]any, len(described.Keys))
		for i := range described.Keys {
			keys[i] = shown(&described.Keys[i])
		}
		return printJSON(q.out, map[string]any{"keys": keys, "orphans": orphans, "tokens_away": tokensAway(status)})
	}
	table := tabwriter.NewWriter(q.out, 0, 0, 4, ' ', 0)
	fmt.Fprintln(table, "Name\tSource\tAlgorithm\tLibrary\tPublic key (SHA-256)\tState")
	fmt.Fprintln(table, "----\t------\t---------\t-------\t--------------------\t-----")
	for i := range described.Keys {
		k := &described.Keys[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", k.Definition.Name, k.Source, algorithm(&k.Definition), libraryOf(&k.Definition), fingerprint(k, 16), condition(k))
		for n := range k.Copies {
			fmt.Fprintf(table, "  copy %d\t\t\t%s\t\t%s\n", n+1, copyName(&k.Copies[n]), copyState(&k.Copies[n]))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, l := range status.Libraries {
		if l.Fault != nil {
			fmt.Fprintf(q.out, "\nLibrary %q: %v\n", l.Name, l.Fault.Err())
		}
	}
	for _, a := range tokensAway(status) {
		fmt.Fprintf(q.out, "\nToken with %s of library %q is away since %s: %s\n", a.Token, a.Library, a.Since, a.Error)
	}
	for _, names := range pairs(described.Keys) {
		fmt.Fprintf(q.out, "\nOne key pair has the names: %s\n", strings.Join(names, ", "))
	}
	if len(orphans) > 0 {
		fmt.Fprintln(q.out, "\nPrivate keys that no definition names:")
	}
	for _, o := range orphans {
		fmt.Fprintf(q.out, "  %s, on token %q of library %q\n", o.Key, o.Token, o.Library)
	}
	return nil
}

func keyRead(q *question) error {
	described, err := q.Describe(q.ctx, &wire.DescribeRequest{Key: q.name, Find: true})
	if err != nil {
		return err
	}
	k := &described.Keys[0]
	if q.json {
		return printJSON(q.out, shown(k))
	}
	d := &k.Definition
	table := tabwriter.NewWriter(q.out, 0, 0, 4, ' ', 0)
	fmt.Fprintln(table, "Key\tValue")
	fmt.Fprintln(table, "---\t-----")
	row := func(name string, value any) {
		if s := fmt.Sprint(value); s != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, s)
		}
	}
	row("name", d.Name)
	row("type", d.Type)
	row("uuid", d.UUID)
	row("source", k.Source)
	row("algorithm", algorithm(d))
	if p := d.AWSKMS; p != nil {
		row("kms_key", p.KMSKey)
		row("region", p.Region)
		row("endpoint", p.Endpoint)
	}
	if p := d.PKCS11; p != nil {
		row("library", p.Library)
		row("token_label", p.TokenLabel)
		row("token_serial", p.TokenSerial)
		if p.Slot != nil {
			row("slot", *p.Slot)
		}
		row("login", p.Login)
		row("key_label", p.KeyLabel)
		row("key_id", p.KeyID)
		row("generate_mechanism", hexWord("", p.GenerateMechanism))
	}
	row("allow_generate_key", d.AllowGenerateKey)
	row("any_mount", d.AnyMount)
	row("schemes", schemeNames(k))
	row("public_key_sha256", fingerprint(k, 64))
	row("state", condition(k))
	for i := range k.Copies {
		row(fmt.Sprintf("copy %d", i+1), copyName(&k.Copies[i])+": "+copyState(&k.Copies[i]))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(k.PublicKey) > 0 {
		return pem.Encode(q.out, &pem.Block{Type: "PUBLIC KEY", Bytes: k.PublicKey})
	}
	return nil
}

// keyTest verifies here as well: hsmd's word is not taken for it.
func keyTest(q *question) error {
	described, err := q.Describe(q.ctx, &wire.DescribeRequest{Key: q.name, Find: true})
	if err != nil {
		return err
	}
	k := &described.Keys[0]
	if err := k.Fault.Err(); err != nil {
		return err
	}
	public, err := managedkey.NewPublic(&k.Definition, k.PublicKey)
	if err != nil {
		return err
	}
	answer, err := q.Test(q.ctx, &wire.TestRequest{Key: q.name, Context: "hsmd key test"})
	if err != nil {
		return err
	}
	signed := answer.Message
	if hash := answer.Scheme.Hash(); hash != 0 {
		h := hash.New()
		h.Write(answer.Message)
		signed = h.Sum(nil)
	}
	if err := public.Verify(answer.Scheme, signed, answer.Signature); err != nil {
		return fail("key %s: %v", q.name, err)
	}
	if q.json {
		return printJSON(q.out, map[string]any{"key": q.name, "scheme": answer.Scheme.String(), "verified": true})
	}
	fmt.Fprintf(q.out, "Success! Key %s signed with %s, and the signature verifies.\n", q.name, answer.Scheme)
	return nil
}
