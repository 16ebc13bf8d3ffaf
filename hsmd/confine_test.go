package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/softhsm"
)

// TestCheckConfinement: what a stanza may not give away, and what check says of
// one that is good.
func TestCheckConfinement(t *testing.T) {
	token := softhsm.New(t)
	link := filepath.Join(t.TempDir(), "link")
	nobody := "65534"
	if os.Getuid() != 0 {
		nobody = "4294967" // then no other user can be had
	}
	for _, c := range []struct {
		name, stanza, client string
		want                 []string // with DIR for hsmd's folder
	}{
		{"nothing", "", "", []string{"its worker runs as hsmd's user and is not confined: it reads and writes what that user may"}},
		{"paths", fmt.Sprintf("paths = [%q]", token.Dir), "", []string{"its worker runs as hsmd's user and is confined to the library, what it links, and " + token.Dir}},
		{"no paths", "paths = []", "", []string{"confined to the library, what it links, and (none)"}},
		{"the root", `paths = ["/"]`, "", []string{`paths "/" would give the worker hsmd's state_dir`}},
		{"state_dir", `paths = ["DIR/state"]`, "", []string{`would give the worker hsmd's state_dir`}},
		{"in state_dir", `paths = ["DIR/state/tokens"]`, "", []string{`would give the worker hsmd's state_dir`}},
		{"a link to it", fmt.Sprintf(`paths = [%q]`, link), "", []string{`would give the worker hsmd's state_dir`}},
		{"a way to it", `paths = ["/tmp/../DIR/./state"]`, "", []string{`would give the worker hsmd's state_dir`}},
		{"the socket", `paths = ["DIR/hsmd.sock"]`, "", []string{`would give the worker hsmd's socket`}},
		{"the file", `paths = ["DIR/hsmd.hcl"]`, "", []string{`would give the worker hsmd's configuration`}},
		{"a PIN", `paths = ["DIR/pin"]`, "", []string{`would give the worker hsmd's pin of managed key root`}},
		{"what is not there", `paths = ["DIR/none"]`, "", []string{`DIR/none: no such file or directory`}},
		{"beside it", `paths = ["DIR/state-of-token", "DIR/stat"]`, "", []string{"is good"}},
		{"an unknown user", `user = "nobody-7f3a"`, "", []string{`user: there is no user "nobody-7f3a"`}},
		{"hsmd's user", fmt.Sprintf("user = %d", os.Getuid()), "", []string{`is hsmd's own; leave user out for that`, "neither root nor"}},
		{"a client's user", "user = " + nobody, "client \"x\" {\n user = " + nobody + "\n capabilities = []\n}",
			[]string{`is that of client "x": hsmd takes no connection from a worker's user`, "there is no user"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, _ := file(t, token, func(s string) string {
				return strings.Replace(s, "  library = ", "  "+c.stanza+"\n  library = ", 1) + c.client
			})
			dir := filepath.Dir(path)
			text, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "DIR", dir)), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			_ = os.Remove(link)
			if err := os.Symlink(filepath.Join(dir, "state"), link); err != nil {
				t.Fatal(err)
			}
			_, out, errOut := hsmdRun("check", "-config="+path)
			for _, want := range c.want {
				if strings.Contains(out+errOut, strings.ReplaceAll(want, "DIR", dir)) {
					return
				}
			}
			t.Errorf("%s%s\nwant one of %q", out, errOut, c.want)
		})
	}
}
