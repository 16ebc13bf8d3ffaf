package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hsmpki/hsmpki/pkid/client"
)

func issueCommand() *cli.Command {
	return &cli.Command{
		Name:      "issue",
		Usage:     "get a certificate and its key as files",
		ArgsUsage: "NAME",
		Description: `   NAME is the common name. Written are NAME.crt (the certificate, then those above it but for the root),
   NAME.key (readable by its owner only) and NAME.ca.crt (the root). An existing file is not overwritten
   without -force. With -csr a certificate for that request is written, and no key.

   pkid issue web.example.com
   pkid issue -role=web -ttl=72h -alt-names=www.example.com -out=/etc/nginx/tls web.example.com
   pkid issue -csr=web.csr web.example.com`,
		Flags: flags(
			&cli.StringFlag{Name: "mount", Value: "pki", Usage: "`path` of the CA"},
			&cli.StringFlag{Name: "role", Usage: "`role` to issue under (default: the mount's only one)"},
			&cli.StringFlag{Name: "ttl", Usage: "how long it is valid, such as 72h (default: the role's)"},
			&cli.StringFlag{Name: "alt-names", Usage: "more DNS names and e-mail addresses, with commas between"},
			&cli.StringFlag{Name: "ip-sans", Usage: "IP addresses, with commas between"},
			&cli.StringFlag{Name: "uri-sans", Usage: "URIs, with commas between"},
			&cli.StringFlag{Name: "csr", Usage: "`file` with a certificate request to sign"},
			&cli.StringFlag{Name: "out", Value: ".", Usage: "`folder` to write to"},
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "overwrite"},
		),
		Action: runIssue,
	}
}

func runIssue(c *cli.Context) error {
	if c.NArg() != 1 {
		return fail("expected one name, got %d arguments; try %q", c.NArg(), c.Command.HelpName+" -h")
	}
	s, mount, err := openMount(c)
	if err != nil {
		return err
	}
	name := c.Args().First()
	files := issueFiles(c.String("out"), name, c.String("csr") == "")
	if !c.Bool("force") {
		if err := files.refuseExisting(); err != nil {
			return err
		}
	}
	role := c.String("role")
	if role == "" {
		if role, err = s.onlyRole(mount); err != nil {
			return err
		}
	}
	act, body := "issue", map[string]any{"common_name": name}
	for flag, parameter := range map[string]string{"ttl": "ttl", "alt-names": "alt_names", "ip-sans": "ip_sans", "uri-sans": "uri_sans"} {
		if v := c.String(flag); v != "" {
			body[parameter] = v
		}
	}
	if file := c.String("csr"); file != "" {
		csr, err := os.ReadFile(file)
		if err != nil {
			return fail("%v", err)
		}
		act, body["csr"] = "sign", string(csr)
	}
	answer, err := s.Do(c.Context, &client.Request{Method: http.MethodPut, Path: mount + "/" + act + "/" + role, Body: body})
	if err != nil {
		return explain("Error issuing "+name, err)
	}
	if answer.Secret == nil {
		return fail("the server answered without a certificate")
	}
	s.warn(answer.Secret.Warnings)
	if answer.Status == http.StatusAccepted {
		return cli.Exit(fmt.Sprintf("%s waits for approval, and no file is written yet. When it is approved:\n  pkid read -field=certificate %s", name, text(answer.Secret.Data["poll"])), exitServer)
	}
	if err := files.write(answer.Secret.Data); err != nil {
		return fail("%v (the certificate %s was issued; read it with: pkid read %s/cert/%[2]s)", err, text(answer.Secret.Data["serial_number"]), mount)
	}
	fmt.Fprintf(s.out, "Serial number  %s\nCertificate    %s\n", text(answer.Secret.Data["serial_number"]), files.cert)
	if files.key != "" {
		fmt.Fprintf(s.out, "Private key    %s\n", files.key)
	}
	fmt.Fprintf(s.out, "Trust anchor   %s\n", files.anchor)
	return nil
}

// onlyRole spares typing the role where there is no choice.
func (s *session) onlyRole(mount string) (string, error) {
	path := mount + "/roles"
	answer, err := s.get(path, url.Values{"list": {"true"}})
	if refusal, is := errors.AsType[*client.ResponseError](err); is && refusal.Status == http.StatusForbidden {
		return "", cli.Exit(fmt.Sprintf("Error listing %s, to see whether there is only one role: %v\n\n-role=NAME needs no right to list them.", path, err), exitServer)
	}
	if err != nil && !isNothing(err) {
		return "", explain("Error listing "+path, err)
	}
	var keys []any
	if answer != nil {
		keys, _ = answer.Data["keys"].([]any)
	}
	if len(keys) == 0 {
		return "", cli.Exit(mount+" has no roles; pkid write "+path+"/NAME makes one", exitServer)
	}
	if len(keys) != 1 {
		return "", fail("%s has %d roles, %s; say which with -role", mount, len(keys), text(keys))
	}
	return text(keys[0]), nil
}

// issued are the files of one certificate.
type issued struct{ cert, key, anchor string }

func issueFiles(folder, name string, withKey bool) issued {
	base := filepath.Join(folder, strings.NewReplacer("*", "_", "/", "_", "\x00", "_").Replace(name))
	files := issued{cert: base + ".crt", anchor: base + ".ca.crt"}
	if withKey {
		files.key = base + ".key"
	}
	return files
}

func (f issued) refuseExisting() error {
	for _, file := range []string{f.cert, f.key, f.anchor} {
		if file == "" {
			continue
		}
		if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
			return fail("%s exists; -force overwrites it", file)
		}
	}
	return nil
}

// write puts the key first: a certificate without its key is of no use.
func (f issued) write(data map[string]any) error {
	chain := text(data["certificate"]) + "\n"
	anchor := text(data["issuing_ca"]) + "\n"
	if list, ok := data["ca_chain"].([]any); ok && len(list) > 0 {
		for _, ca := range list[:len(list)-1] {
			chain += text(ca) + "\n"
		}
		anchor = text(list[len(list)-1]) + "\n"
	}
	if f.key != "" {
		if err := replace(f.key, text(data["private_key"])+"\n", 0o600); err != nil {
			return err
		}
	}
	if err := replace(f.cert, chain, 0o644); err != nil {
		return err
	}
	return replace(f.anchor, anchor, 0o644)
}

// replace writes beside the file and renames, so that a server which reads it
// never sees half of it, and an old file's mode does not stay.
func replace(file, content string, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".pkid-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(content)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}
