package role_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// observed names a file of answers; README.md tells its form.
var observed = flag.String("observed", filepath.Join("testdata", "roles.jsonl.gz"), "answers of a running server to replay, perhaps compressed by gzip")

// line is one answer of a running server of the same API; see README.md.
type line struct {
	Case   string         `json:"case"`
	In     map[string]any `json:"in"`
	Role   map[string]any `json:"role"`
	Status int            `json:"status"`
	Errors []string       `json:"errors"`
	Got    *got           `json:"got"`
}

// got is what the server's certificate said.
type got struct {
	KeyType string      `json:"key_type"`
	Subject [][2]string `json:"subject"`
	Life    any         `json:"life"`
	Back    int         `json:"back"`
	Public  string      `json:"public"`
	Ext     struct {
		KU       []string `json:"ku"`
		EKU      []string `json:"eku"`
		SAN      []string `json:"san"`
		Policies []string `json:"policies"`
		BC       []any    `json:"bc"`
	} `json:"ext"`
}

// TestObserved replays what a running server made of roles and requests. At
// most one answer in fifty may differ, and each that does must be of a kind
// listed with its reason in differences; each of those must still occur.
func TestObserved(t *testing.T) {
	seen := map[string]int{}
	compared, differing := map[string]int{}, 0
	for _, l := range readLines(t, *observed) {
		kind, server, ours := replay(t, l)
		compared[kind]++
		if server == ours {
			continue
		}
		differing++
		if why := explain(l, server, ours); why != "" {
			seen[why]++
			continue
		}
		in, _ := json.Marshal(l.In)
		role, _ := json.Marshal(l.Role)
		t.Errorf("case %s: asked %s under %s\nserver: %s\nours:   %s", l.Case, in, role, server, ours)
	}
	total := 0
	for _, kind := range []string{"write", "read", "issue", "sign"} {
		t.Logf("%4d × %s", compared[kind], kind)
		total += compared[kind]
		if compared[kind] < 300 {
			t.Errorf("only %d answers of %s were compared", compared[kind], kind)
		}
	}
	t.Logf("%d answers compared, %d differ (%.1f%%)", total, differing, 100*float64(differing)/float64(total))
	if differing*50 > total {
		t.Error("more than one answer in fifty differs")
	}
	for _, d := range differences {
		t.Logf("%4d × %s", seen[d.why], d.why)
		if seen[d.why] == 0 {
			t.Errorf("no answer differs any more by: %s", d.why)
		}
	}
}

func readLines(t *testing.T, path string) []line {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	var lines []line
	s := bufio.NewScanner(in)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var l line
		d := json.NewDecoder(strings.NewReader(s.Text()))
		d.UseNumber()
		if err := d.Decode(&l); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		lines = append(lines, l)
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// replay returns what was asked and the server's answer and ours as texts to
// compare.
func replay(t *testing.T, l line) (kind, server, ours string) {
	t.Helper()
	parts := strings.Split(l.Case, ".")
	switch {
	case len(parts) == 1:
		return "write", outcome(l.Status, l.Errors), writeRole(l.In)
	case parts[1] == "read" && len(l.Role) == 0: // the write was refused
		return "read", "nothing", cutTo("nothing", readRole(t, l.In))
	case parts[1] == "read":
		return "read", answer(l.Role), readRole(t, l.In)
	}
	if server = outcome(l.Status, l.Errors); l.Got != nil {
		server = l.Got.String()
	}
	if parts[2] == "sign" {
		return "sign", server, sign(t, l, server)
	}
	return "issue", server, issue(t, l, nil)
}

// cutTo is text for a role that was refused, whatever the reason.
func cutTo(text, ours string) string {
	if strings.HasPrefix(ours, "400 ") {
		return text
	}
	return ours
}

// outcome writes a status and its errors. Mistakes of the caller that the
// server answers with 500 are 400 here, and without the wrapping that it gives
// them; the text of a conversion is vaultapi's.
func outcome(status int, errors []string) string {
	if len(errors) == 0 {
		return fmt.Sprint(status)
	}
	text := strings.TrimSuffix(strings.TrimPrefix(errors[0], "1 error occurred:\n\t* "), "\n\n")
	if status == 500 {
		status = 400
	}
	if head, _, ok := strings.Cut(text, ": error converting input for field "); ok {
		text = head
	}
	for _, until := range []string{"notAfter of", "Not Before", "unknown role"} {
		if head, _, ok := strings.Cut(text, until); ok {
			text = head
		}
	}
	return fmt.Sprint(status, " ", text)
}
