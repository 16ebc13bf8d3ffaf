package lint_test

import (
	"fmt"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/lint"
)

// BenchmarkCertificate is what a certificate costs: one of the default role,
// with the lints of RFC 5280 and with all there are, and one with 1,000 names.
func BenchmarkCertificate(b *testing.B) {
	by := issuer(b, "ec 256")
	r := map[string]any{"allow_any_name": true}
	wish := map[string]any{"common_name": "web.example.com", "alt_names": "www.example.com"}
	leafDER := leaf(b, by, "rsa 2048", r, wish, nil).Unsigned()
	many := ""
	for i := range 999 {
		many += fmt.Sprintf("host-%d.example.com,", i)
	}
	wish["alt_names"] = many
	manyDER := leaf(b, by, "rsa 2048", r, wish, nil).Unsigned()
	for _, c := range []struct {
		name    string
		der     []byte
		sources []string
	}{
		{"RFC5280", leafDER, nil},
		{"browsers", leafDER, []string{"CABF_BR", "CABF_EV", "Mozilla", "Apple", "Chrome"}},
		{"every", leafDER, everySource},
		{"1000names", manyDER, nil},
		{"1000names/every", manyDER, everySource},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := lint.Settings{Sources: c.sources}
			b.ReportAllocs()
			for b.Loop() {
				s.Certificate(c.der, false)
			}
		})
	}
}
