package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/hsmpki/hsmpki/pkid/client"
)

func tidyCommand() *cli.Command {
	return &cli.Command{
		Name:  "tidy",
		Usage: "remove certificates and revocations that ended long ago",
		Description: `   Waits for the end and shows the progress; interrupting the command does not interrupt the tidy. Without a flag that
   says what, certificates and revocations.

   pkid tidy
   pkid tidy -safety-buffer=720h -expired-issuers
   pkid tidy -detach
   pkid tidy -status
   pkid tidy -cancel`,
		Flags: flags(formatFlag(),
			&cli.StringFlag{Name: "mount", Value: "pki", Usage: "`path` of the CA"},
			&cli.BoolFlag{Name: "certs", Usage: "certificates"},
			&cli.BoolFlag{Name: "revoked", Usage: "revocations, which then leave the CRL"},
			&cli.BoolFlag{Name: "expired-issuers", Usage: "issuers other than the default"},
			&cli.StringFlag{Name: "safety-buffer", Usage: "how `long` ago it must have ended (default: 72h)"},
			&cli.StringFlag{Name: "issuer-safety-buffer", Usage: "how `long` ago an issuer must have ended (default: 8760h)"},
			&cli.StringFlag{Name: "pause", Usage: "`duration` to pause between pages"},
			&cli.BoolFlag{Name: "detach", Usage: "do not wait"},
			&cli.BoolFlag{Name: "status", Usage: "tell how the last one is getting on"},
			&cli.BoolFlag{Name: "cancel", Usage: "end the one under way"},
		),
		Action: runTidy,
	}
}

func runTidy(c *cli.Context) error {
	s, mount, err := openMountAlone(c)
	if err != nil {
		return err
	}
	switch {
	case c.Bool("status"):
		return s.tidyStatus(mount)
	case c.Bool("cancel"):
		secret, err := s.post(mount+"/tidy-cancel", nil)
		if err != nil {
			return explain("Error cancelling the tidy of "+mount, err)
		}
		s.warn(secret.Warnings)
		return nil
	}
	body := map[string]any{"tidy_cert_store": c.Bool("certs"), "tidy_revoked_certs": c.Bool("revoked"), "tidy_expired_issuers": c.Bool("expired-issuers")}
	if !c.Bool("certs") && !c.Bool("revoked") && !c.Bool("expired-issuers") {
		body["tidy_cert_store"], body["tidy_revoked_certs"] = true, true
	}
	for flag, parameter := range map[string]string{"safety-buffer": "safety_buffer", "issuer-safety-buffer": "issuer_safety_buffer", "pause": "pause_duration"} {
		if v := c.String(flag); v != "" {
			body[parameter] = v
		}
	}
	secret, err := s.post(mount+"/tidy", body)
	if err != nil {
		return explain("Error tidying "+mount, err)
	}
	if c.Bool("detach") {
		s.warn(secret.Warnings)
		return nil
	}
	return s.watchTidy(mount)
}

// tidyPoll is how often the progress is asked for.
const tidyPoll = 200 * time.Millisecond

// watchTidy shows the progress until the end: on a terminal in one line that is
// written again and again, on stderr.
func (s *session) watchTidy(mount string) error {
	f, isFile := s.errOut.(*os.File)
	lively := isFile && term.IsTerminal(int(f.Fd()))
	for {
		data, err := s.readTidyStatus(mount)
		if err != nil {
			return err
		}
		state := text(data["state"])
		line := fmt.Sprintf("%s: %s certificates and %s revocations removed", state, counted(data, "cert_store_deleted_count"), counted(data, "revoked_cert_deleted_count"))
		if lively {
			fmt.Fprintf(s.errOut, "\r\x1b[K%s", line)
		}
		if state == "Running" || state == "Cancelling" {
			select {
			case <-time.After(tidyPoll):
				continue
			case <-s.ctx.Context.Done():
				return fail("interrupted; the tidy goes on: pkid tidy -mount=%s -status", mount)
			}
		}
		if lively {
			fmt.Fprintln(s.errOut)
		}
		if state == "Error" {
			return cli.Exit("The tidy failed: "+text(data["error"]), exitServer)
		}
		if s.format != "table" {
			return s.encode(data)
		}
		if !lively {
			fmt.Fprintln(s.out, line)
		}
		return nil
	}
}

func (s *session) readTidyStatus(mount string) (map[string]any, error) {
	secret, err := s.get(mount+"/tidy-status", nil)
	if err != nil {
		return nil, explain("Error reading "+mount+"/tidy-status", err)
	}
	return secret.Data, nil
}

func (s *session) tidyStatus(mount string) error {
	data, err := s.readTidyStatus(mount)
	if err != nil {
		return err
	}
	for name, value := range data {
		if value == nil {
			delete(data, name)
		}
	}
	return s.show(&client.Secret{Data: data, Bare: data})
}

// counted is a count of the status, 0 where there is none yet.
func counted(data map[string]any, name string) json.Number {
	if n, ok := data[name].(json.Number); ok {
		return n
	}
	return "0"
}
