package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/approval"
	"github.com/hsmpki/hsmpki/wire"
)

// longestFile bounds what is read as a signature or a statement.
const longestFile = 16 << 10

func approvalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "address", Usage: "hsmd's socket, a `PATH`", Value: config.DefaultHSMDSocket},
		&cli.StringFlag{Name: "format", Usage: "table or json", Value: "table"},
	}
}

func approvalsCommand() *cli.Command {
	return &cli.Command{
		Name:      "approvals",
		Usage:     "show what waits for approval, in words",
		ArgsUsage: "[ID]",
		Description: "Where much waits, what has many words is shown without them: with its ID it is shown alone and whole.\n\n" +
			"With -statement and -bytes no hsmd is asked: the two files that \"hsmd approve\" has written on another machine\n" +
			"are read here, so that who approves need not believe the screen of that one.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "statement", Usage: "the `FILE` with a statement that is to be signed"},
			&cli.StringFlag{Name: "bytes", Usage: "the `FILE` with the bytes that it is of"},
		}, approvalFlags()...),
		Action: func(c *cli.Context) error {
			if c.IsSet("statement") || c.IsSet("bytes") {
				return readWaiting(c)
			}
			return asking(min(c.NArg(), 1), listApprovals)(c)
		},
	}
}

func approveCommand() *cli.Command {
	return &cli.Command{
		Name:      "approve",
		Usage:     "approve one message that waits",
		ArgsUsage: "ID",
		Description: "First look at it, then sign the statement with your SSH key, then hand the signature in:\n\n" +
			"   hsmd approvals\n" +
			"   hsmd approve -statement ID > statement\n" +
			"   ssh-keygen -Y sign -n " + approval.Namespace + " -f ~/.ssh/id_ed25519 statement\n" +
			"   hsmd approve -signature=statement.sig ID\n\n" +
			"The signing can be done on another machine. With -bytes the bytes themselves are written, as DER:\n" +
			"their SHA-256 is in the statement.",
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "statement", Usage: "write the text that is to be signed"},
			&cli.BoolFlag{Name: "bytes", Usage: "write the bytes that the key would sign"},
			&cli.StringFlag{Name: "signature", Usage: "the `FILE` that ssh-keygen -Y sign wrote, or - for standard input"},
		}, approvalFlags()...),
		Action: func(c *cli.Context) error {
			asked := 0
			for _, flag := range []string{"statement", "bytes", "signature"} {
				if c.IsSet(flag) {
					asked++
				}
			}
			if asked != 1 {
				return fail("hsmd approve needs one of -statement, -bytes and -signature=FILE; try %q", c.Command.HelpName+" -h")
			}
			if !c.IsSet("signature") {
				return asking(1, func(q *question) error { return showWaiting(q, c.Bool("bytes")) })(c)
			}
			signature, err := readBounded(c.String("signature"), longestFile)
			if err != nil {
				return fail("%v", err)
			}
			return asking(1, func(q *question) error { return approve(q, signature) })(c)
		},
	}
}

// readBounded reads a file, or standard input for "-", of at most so many octets.
func readBounded(name string, most int64) (string, error) {
	from := io.Reader(os.Stdin)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s has more than %d octets", name, most)
	}
	return string(text), err
}

// readWaiting shows in words what is in the two files of a message that waits at
// another hsmd.
func readWaiting(c *cli.Context) error {
	if !c.IsSet("statement") || !c.IsSet("bytes") || c.NArg() > 0 {
		return fail("hsmd approvals wants -statement and -bytes, both and alone; try %q", c.Command.HelpName+" -h")
	}
	text, err := readBounded(c.String("statement"), longestFile)
	if err != nil {
		return fail("%v", err)
	}
	statement, err := approval.ReadStatement(text)
	if err != nil {
		return fail("%s: %v", c.String("statement"), err)
	}
	message, err := readBounded(c.String("bytes"), approval.MaxMessage)
	if err != nil {
		return fail("%v", err)
	}
	words, err := statement.WordsOf([]byte(message))
	if err != nil {
		return fail("%v", err)
	}
	fmt.Fprintf(c.App.Writer, "To be signed until %s by the key sha256 %x:\n", statement.Until.UTC().Format(time.RFC3339), statement.SPKI)
	for _, line := range words {
		fmt.Fprintf(c.App.Writer, "    %s\n", line)
	}
	return nil
}

func listApprovals(q *question) error {
	answer, err := q.Approvals(q.ctx, &wire.ApprovalsRequest{ID: q.name})
	if err != nil {
		return err
	}
	if q.name != "" && len(answer.Waiting) == 0 {
		return notWaiting(q.name)
	}
	if q.json {
		return printJSON(q.out, answer.Waiting)
	}
	if len(answer.Waiting) == 0 {
		_, err := fmt.Fprintln(q.out, "Nothing waits for approval.")
		return err
	}
	for _, w := range answer.Waiting {
		if err := printWaiting(q.out, &w); err != nil {
			return err
		}
	}
	return nil
}

func printWaiting(out io.Writer, w *wire.Waiting) error {
	given := "nobody yet"
	if len(w.Given) > 0 {
		given = strings.Join(w.Given, ", ")
	}
	state := "waits"
	if len(w.Given) >= w.Quorum {
		state = "is approved, and may be signed"
	}
	_, err := fmt.Fprintf(out, "%s %s until %s\n  key %s, asked by user %d (%s) at %s\n", w.ID, state,
		time.Unix(w.Until, 0).UTC().Format(time.RFC3339), w.Key, w.UID, w.Context, time.Unix(w.Asked, 0).UTC().Format(time.RFC3339))
	for _, line := range w.Words {
		fmt.Fprintf(out, "    %s\n", line)
	}
	if len(w.Words) == 0 {
		fmt.Fprintf(out, "    too long to be shown beside the others: hsmd approvals %s\n", w.ID)
	}
	fmt.Fprintf(out, "  approved by %s; %d people are needed\n\n", given, w.Quorum)
	return err
}

func showWaiting(q *question, octets bool) error {
	answer, err := q.Approvals(q.ctx, &wire.ApprovalsRequest{ID: q.name})
	if err != nil {
		return err
	}
	for _, w := range answer.Waiting {
		if w.ID != q.name {
			continue
		}
		if octets {
			_, err = q.out.Write(w.Message)
		} else {
			_, err = io.WriteString(q.out, w.Statement)
		}
		return err
	}
	return notWaiting(q.name)
}

func notWaiting(id string) error {
	return cli.Exit(fmt.Sprintf("hsmd: nothing waits under %q", id), exitServer)
}

func approve(q *question, signature string) error {
	answer, err := q.Approve(q.ctx, &wire.ApproveRequest{ID: q.name, Signature: signature})
	if err != nil {
		return err
	}
	if q.json {
		return printJSON(q.out, answer)
	}
	missing := answer.Quorum - len(answer.Given)
	if missing > 0 {
		_, err = fmt.Fprintf(q.out, "Approved by %s. Approvals still needed: %d.\n", answer.Approver, missing)
	} else {
		_, err = fmt.Fprintf(q.out, "Approved by %s. It may be signed now: whoever asked for it has to ask again.\n", answer.Approver)
	}
	return err
}
