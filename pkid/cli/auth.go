package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/client"
)

// showAuth prints a token that was just made or renewed, by the names of Vault's
// CLI.
func (s *session) showAuth(secret *client.Secret) error {
	rows := authRows(secret.Auth)
	if s.field != "" {
		for _, row := range rows {
			if row.name == s.field {
				return s.showField(row.value)
			}
		}
		return fail("Field %q not present in secret", s.field)
	}
	if s.format != "table" {
		return s.encode(secret.Bare)
	}
	cells := [][]string{}
	for _, row := range rows {
		cell := fmt.Sprint(row.value)
		if list, ok := row.value.([]string); ok {
			cell = fmt.Sprintf("%q", list)
		}
		cells = append(cells, []string{row.name, cell})
	}
	return s.table([]string{"Key", "Value"}, cells)
}

type authRow struct {
	name  string
	value any
}

func authRows(a *client.Auth) []authRow {
	rows := []authRow{
		{"token", a.ClientToken}, {"token_accessor", a.Accessor}, {"token_duration", span(a.LeaseDuration)},
		{"token_renewable", a.Renewable}, {"token_policies", a.TokenPolicies}, {"identity_policies", a.IdentityPolicies}, {"policies", a.Policies},
	}
	for _, name := range slices.Sorted(maps.Keys(a.Metadata)) {
		rows = append(rows, authRow{"token_meta_" + name, a.Metadata[name]})
	}
	return rows
}

// span writes seconds as Vault's tables do; 0 has no end.
func span(seconds int) string {
	if seconds == 0 {
		return "∞"
	}
	text := (time.Duration(seconds) * time.Second).String()
	if rest, ok := strings.CutSuffix(text, "m0s"); ok {
		text = rest + "m"
	}
	if rest, ok := strings.CutSuffix(text, "h0m"); ok {
		text = rest + "h"
	}
	return text
}

// number is a JSON number, 0 if it is none.
func number(value any) int {
	n, _ := value.(json.Number)
	i, _ := n.Int64()
	return int(i)
}

// names is a JSON list of texts.
func names(value any) []string {
	list, _ := value.([]any)
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = text(e)
	}
	return out
}
