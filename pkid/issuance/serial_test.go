package issuance_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

func TestSerialNumbers(t *testing.T) {
	issuer := makeIssuer(t, "P-256")
	limit := new(big.Int).Lsh(big.NewInt(1), 159)
	seen := map[string]bool{}
	long := 0
	for range 300 {
		prepared, err := issuer.Prepare(leafRequest(), now)
		if err != nil {
			t.Fatal(err)
		}
		n := prepared.SerialNumber()
		if n.Sign() <= 0 || n.Cmp(limit) >= 0 {
			t.Fatalf("serial number %v is not positive or beyond 20 octets", n)
		}
		text := issuance.FormatSerial(n)
		if seen[text] {
			t.Fatalf("serial number %s twice", text)
		}
		seen[text] = true
		if len(n.Bytes()) == 20 {
			long++
		}
	}
	if long < 280 {
		t.Errorf("only %d of 300 serial numbers have 20 octets", long)
	}
}

func TestParseSerial(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"0a:ff:10", "0a:ff:10"},
		{"0A-FF-10", "0a:ff:10"},
		{"0aFf10", "0a:ff:10"},
		{"00:0a:ff", "0a:ff"},
		{"00", "00"},
		{"7f", "7f"},
		{strings.Repeat("ff:", 19) + "ff", strings.Repeat("ff:", 19) + "ff"},
	} {
		n, err := issuance.ParseSerial(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
		} else if got := issuance.FormatSerial(n); got != c.want {
			t.Errorf("%q reads as %s, want %s", c.text, got, c.want)
		}
	}
	for _, text := range []string{
		"", ":", "a", "0a:", ":0a", "0a::0b", "0a:b", "0a:bbb", "0x0a", "-0a", "0a 0b", "zz", "0a:b:c0",
		strings.Repeat("ff:", 20) + "ff", strings.Repeat("00", 21),
	} {
		if n, err := issuance.ParseSerial(text); err == nil {
			t.Errorf("%q reads as %v, want an error", text, n)
		}
	}
}

func FuzzParseSerial(f *testing.F) {
	for _, text := range []string{"0a:ff:10", "0A-FF-10", "0aff", "::", "-", "00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := issuance.ParseSerial(text)
		if err != nil {
			return
		}
		if n.Sign() < 0 || n.BitLen() > 160 {
			t.Fatalf("%q reads as %v", text, n)
		}
		again, err := issuance.ParseSerial(issuance.FormatSerial(n))
		if err != nil || again.Cmp(n) != 0 {
			t.Fatalf("%q reads as %v, which is written %s", text, n, issuance.FormatSerial(n))
		}
	})
}
