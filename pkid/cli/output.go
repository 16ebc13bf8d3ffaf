package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
	"gopkg.in/yaml.v3"

	"github.com/hsmpki/hsmpki/pkid/client"
)

// show prints an answer: the one field that was asked for, or all of it.
// Warnings go to stderr.
func (s *session) show(secret *client.Secret) error {
	s.warn(secret.Warnings)
	if secret.WrapInfo != nil {
		return s.showWrapped(secret)
	}
	if secret.Auth != nil {
		return s.showAuth(secret)
	}
	if s.field != "" {
		value, ok := secret.Data[s.field]
		if !ok {
			return fail("Field %q not present in secret", s.field)
		}
		return s.showField(value)
	}
	if s.format != "table" {
		return s.encode(secret.Bare)
	}
	rows := [][2]string{}
	if secret.LeaseID != "" {
		rows = append(rows, [2]string{"lease_id", secret.LeaseID},
			[2]string{"lease_duration", fmt.Sprint(secret.LeaseDuration)}, [2]string{"lease_renewable", fmt.Sprint(secret.Renewable)})
	}
	for _, key := range sortedKeys(secret.Data) {
		rows = append(rows, [2]string{key, text(secret.Data[key])})
	}
	return s.table([]string{"Key", "Value"}, pairs(rows))
}

// showField prints a value bare, with a newline only for a person.
func (s *session) showField(value any) error {
	if s.format != "table" {
		return s.encode(value)
	}
	out := text(value)
	if f, ok := s.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		out += "\n"
	}
	_, err := io.WriteString(s.out, out)
	return err
}

func (s *session) encode(value any) error {
	if s.format == "yaml" {
		encoder := yaml.NewEncoder(s.out)
		encoder.SetIndent(2)
		return encoder.Encode(plain(value))
	}
	encoder := json.NewEncoder(s.out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// plain turns json.Number, which YAML would print as a string, into numbers.
func plain(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = plain(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plain(e)
		}
		return out
	}
	return value
}

// text prints a value as Vault's tables do.
func text(value any) string {
	switch v := value.(type) {
	case nil:
		return "n/a"
	case string:
		return v
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = text(e)
		}
		return "[" + strings.Join(parts, " ") + "]"
	case map[string]any:
		parts := []string{}
		for _, k := range sortedKeys(v) {
			parts = append(parts, k+":"+text(v[k]))
		}
		return "map[" + strings.Join(parts, " ") + "]"
	}
	return fmt.Sprint(value)
}

// table prints rows in aligned columns under a header that is underlined. The
// last column is not padded: a value of several lines, a PEM block, starts in
// its column and goes on at the left margin, so that it can be copied.
func (s *session) table(header []string, rows [][]string) error {
	rule := make([]string, len(header))
	for i, h := range header {
		rule[i] = strings.Repeat("-", len(h))
	}
	rows = append([][]string{header, rule}, rows...)
	width := make([]int, len(header))
	for _, row := range rows {
		for i, cell := range row[:len(row)-1] {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		last := len(row) - 1
		for i, cell := range row[:last] {
			b.WriteString(cell)
			b.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+4))
		}
		b.WriteString(row[last])
		b.WriteByte('\n')
	}
	_, err := io.WriteString(s.out, b.String())
	return err
}

func pairs(rows [][2]string) [][]string {
	out := make([][]string, len(rows))
	for i, r := range rows {
		out[i] = []string{r[0], r[1]}
	}
	return out
}

func (s *session) warn(warnings []string) {
	if len(warnings) == 0 {
		return
	}
	fmt.Fprint(s.errOut, "WARNING! The following warnings were returned from the server:\n\n")
	for _, w := range warnings {
		fmt.Fprintf(s.errOut, "  * %s\n", strings.ReplaceAll(w, "\n", "\n    "))
	}
	fmt.Fprintln(s.errOut)
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
