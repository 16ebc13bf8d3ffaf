package cli

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/client"
	"github.com/hsmpki/hsmpki/pkid/store/snapshot"
)

// StorageCommand is `pkid storage`; restore, which works on the state itself
// and not through the API, is the program's.
func StorageCommand(restore *cli.Command) *cli.Command {
	c := &cli.Command{
		Name:  "storage",
		Usage: "copy pkid's state out, and back",
		Subcommands: []*cli.Command{{
			Name:      "snapshot",
			Usage:     "copy the whole state, as it is at one moment, into a file",
			ArgsUsage: "FILE",
			Description: `   pkid goes on meanwhile. The file is looked through, to the last octet, before it gets its name. It has no CA's key, but all
   else that pkid knows: keep it as you keep the state.

   pkid storage snapshot /backup/pkid-$(date +%F).snapshot`,
			Flags:  flags(),
			Action: runSnapshot,
		}, restore},
	}
	harden(c)
	return c
}

func runSnapshot(c *cli.Context) error {
	if c.NArg() != 1 {
		return fail("pkid storage snapshot takes one argument, the file; try %q", c.Command.HelpName+" -h")
	}
	s, err := open(c)
	if err != nil {
		return err
	}
	body, err := s.Stream(c.Context, &client.Request{Method: http.MethodGet, Path: "sys/storage/snapshot"})
	if err != nil {
		return explain("Error taking a snapshot", err)
	}
	defer body.Close()
	summary, err := saveSnapshot(body, c.Args().First())
	if err != nil {
		return fail("Error taking a snapshot: %v", err)
	}
	fmt.Fprintf(s.out, "%s: %d records, %d octets, sha256 %x\n", c.Args().First(), summary.Records, summary.Octets, summary.SHA256)
	return nil
}

// saveSnapshot writes a snapshot beside the file and renames it when it is whole
// and on disk.
func saveSnapshot(from io.Reader, name string) (_ *snapshot.Summary, err error) {
	f, err := os.OpenFile(name+".part", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	summary, err := snapshot.Read(io.TeeReader(from, f), func(bool, []byte, []byte) error { return nil })
	if err != nil {
		return nil, err
	}
	if err = f.Sync(); err != nil {
		return nil, err
	}
	if err = f.Close(); err != nil {
		return nil, err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return nil, err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return summary, dir.Sync()
}
