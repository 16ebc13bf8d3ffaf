package role_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// observed names a file with more answers in the format of testdata/observed.jsonl.
var observed = flag.String("observed", filepath.Join("testdata", "observed.jsonl"), "answers of a running server to replay")

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

// TestObserved replays what a running server made of roles and requests. Each
// answer must be the same but for the kinds of difference listed with their
// reasons in differences, of which each must still occur.
func TestObserved(t *testing.T) {
	lines := readLines(t, *observed)
	seen := map[string]int{}
	compared, differing := 0, 0
	for _, l := range lines {
		server, ours, ok := replay(t, l)
		if !ok {
			continue
		}
		compared++
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
	t.Logf("%d answers compared, %d differ (%.1f%%)", compared, differing, 100*float64(differing)/float64(compared))
	for _, d := range differences {
		t.Logf("%4d × %s", seen[d.why], d.why)
		if seen[d.why] == 0 {
			t.Errorf("no answer differs any more by: %s", d.why)
		}
	}
	if compared < 200 {
		t.Errorf("only %d answers were compared", compared)
	}
}

func readLines(t *testing.T, path string) []line {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []line
	s := bufio.NewScanner(f)
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

// replay returns the server's answer and ours as texts to compare; false where
// the answer is not of this package's making.
func replay(t *testing.T, l line) (server, ours string, ok bool) {
	t.Helper()
	parts := strings.Split(l.Case, ".")
	switch {
	case len(parts) == 1:
		return outcome(l.Status, l.Errors), writeRole(l.In), true
	case parts[1] == "read":
		if len(l.Role) == 0 {
			return "", "", false // the write was refused
		}
		return answer(l.Role), readRole(t, l.In), true
	case parts[2] == "issue":
		if l.In["format"] == "bogus" || len(l.Errors) > 0 && strings.HasPrefix(l.Errors[0], "unknown role") {
			return "", "", false // the API's to answer
		}
		ours = issue(t, l)
		if l.Got != nil {
			return l.Got.String(), ours, true
		}
		return outcome(l.Status, l.Errors), ours, true
	}
	return "", "", false // sign: the CSR is not recorded
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
	for _, until := range []string{"notAfter of", "Not Before"} {
		if head, _, ok := strings.Cut(text, until); ok {
			text = head
		}
	}
	return fmt.Sprint(status, " ", text)
}
