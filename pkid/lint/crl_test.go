package lint_test

import (
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/lint"
)

// entries are n of a CRL, of which those at the places given say that they were
// revoked in the future.
func entries(n int, spoiled ...int) []issuance.Revoked {
	list := make([]issuance.Revoked, n)
	for i := range list {
		list[i] = issuance.Revoked{SerialNumber: big.NewInt(int64(1000 + i)), RevokedAt: now.Add(-time.Hour), Reason: 1}
	}
	for _, i := range spoiled {
		list[i].RevokedAt = now.Add(time.Hour)
	}
	return list
}

// encoded is the DER of entries, reasons among them that there are not: the
// reason is an entry's last octet.
func encoded(t testing.TB, list []issuance.Revoked) (der []byte) {
	t.Helper()
	for _, r := range list {
		reason := r.Reason
		r.Reason = issuance.KeyCompromise
		entry, err := issuance.EncodeRevoked(r)
		if err != nil {
			t.Fatal(err)
		}
		entry[len(entry)-1] = byte(reason)
		der = append(der, entry...)
	}
	return der
}

// TestLongRevocationList: of a long CRL the entries at its ends are looked at,
// and some between.
func TestLongRevocationList(t *testing.T) {
	const future = "error e_crl_revocation_time_after_this_update"
	for _, c := range []struct {
		name  string
		n     int
		wrong int
		want  string
	}{
		{"short, any", 1000, 517, future},
		{"long, first", 10_000, 0, future},
		{"long, 250th", 10_000, 249, future},
		{"long, 251st", 10_000, 250, future},
		{"long, between two that are looked at", 10_000, 251, ""},
		{"long, 250th from the end", 10_000, 9750, future},
		{"long, last", 10_000, 9999, future},
		{"one too many, any", 1001, 517, ""},
		{"one too many, last", 1001, 1000, future},
	} {
		if got := names(look(t, "ec 256", &lint.Settings{}, 72*time.Hour, entries(c.n, c.wrong))); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

// TestBrokenRevocationList: what cannot be read is a finding.
func TestBrokenRevocationList(t *testing.T) {
	var s lint.Settings
	for _, tbs := range [][]byte{nil, {0x30, 0}, []byte("no CRL"), {0x30, 2, 5, 0}} {
		if got := names(s.RevocationList(tbs, []byte{0})); got != "fatal parse" {
			t.Errorf("%x: %s", tbs, got)
		}
	}
	if got := names(s.Certificate([]byte("no certificate"), false)); got != "fatal parse" {
		t.Error(got)
	}
	s.Waive = []string{lint.NameParse}
	if got := names(s.Certificate([]byte("no certificate"), false)); got != "" {
		t.Error(got)
	}
}

// FuzzRevocationList: whatever a CRL holds, looking at it ends.
func FuzzRevocationList(f *testing.F) {
	for _, n := range []int{0, 1, 1001} {
		_, err := issuer(f, "ec 256").IssueRevocationList(&issuance.RevocationList{
			Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour),
			Look: func(tbs, dummy []byte) error {
				f.Add(tbs, dummy)
				return nil
			},
		}, encoded(f, entries(n)), key{keys()["ec 256"]})
		if err != nil {
			f.Fatal(err)
		}
	}
	s := lint.Settings{Sources: everySource}
	f.Fuzz(func(t *testing.T, tbs, dummy []byte) { s.RevocationList(tbs, dummy) })
}

// FuzzCertificate: as FuzzRevocationList.
func FuzzCertificate(f *testing.F) {
	f.Add(spoiled(f).Unsigned(), false)
	f.Add(root(f, "rsa 2048", map[string]any{"common_name": "Root", "permitted_dns_domains": "example.com"}, nil).Unsigned(), true)
	s := lint.Settings{Sources: everySource}
	f.Fuzz(func(t *testing.T, der []byte, selfSigned bool) { s.Certificate(der, selfSigned) })
}

// million is a TBSCertList of that many entries, and a dummy.
func million(b *testing.B) (tbs, dummy []byte) {
	b.Helper()
	_, err := issuer(b, "ec 256").IssueRevocationList(&issuance.RevocationList{
		Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour),
		Look: func(t, d []byte) error {
			tbs, dummy = t, d
			return nil
		},
	}, encoded(b, entries(1)), key{keys()["ec 256"]})
	if err != nil {
		b.Fatal(err)
	}
	in := cryptobyte.String(tbs)
	var fields, list cryptobyte.String
	in.ReadASN1(&fields, asn1.SEQUENCE)
	rest := fields
	for !rest.PeekASN1Tag(asn1.UTCTime) {
		var skipped cryptobyte.String
		rest.ReadAnyASN1(&skipped, nil)
	}
	rest.SkipASN1(asn1.UTCTime)
	rest.SkipASN1(asn1.UTCTime)
	head := fields[:len(fields)-len(rest)]
	rest.ReadASN1(&list, asn1.SEQUENCE)
	out := cryptobyte.NewBuilder(make([]byte, 0, len(list)*1_000_000+4096))
	out.AddASN1(asn1.SEQUENCE, func(out *cryptobyte.Builder) {
		out.AddBytes(head)
		out.AddASN1(asn1.SEQUENCE, func(out *cryptobyte.Builder) {
			for range 1_000_000 {
				out.AddBytes(list)
			}
		})
		out.AddBytes(rest)
	})
	return out.BytesOrPanic(), dummy
}

// BenchmarkRevocationList is what a CRL of a million entries costs.
func BenchmarkRevocationList(b *testing.B) {
	tbs, dummy := million(b)
	var s lint.Settings
	b.SetBytes(int64(len(tbs)))
	b.ReportAllocs()
	for b.Loop() {
		if found := s.RevocationList(tbs, dummy); len(found) > 0 {
			b.Fatal(found)
		}
	}
}
