package tbs_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"testing"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hsmpki/hsmpki/hsmd/tbs"
)

// TestNameString wants what Go's own reading of a name makes of it.
func TestNameString(t *testing.T) {
	attribute := func(id string, tag cbasn1.Tag, value string) []byte {
		return seq(tlv(6, []byte(id)), tlv(tag, []byte(value)))
	}
	const cn, o, unknown = "\x55\x04\x03", "\x55\x04\x0a", "\x2a\x03\x04"
	for name, c := range map[string]struct {
		der  []byte
		want string
	}{
		"empty":        {seq(), ""},
		"one":          {seq(tlv(0x31, attribute(cn, 12, "Ünder"))), "CN=Ünder"},
		"two":          {seq(tlv(0x31, attribute(o, 19, "Example")), tlv(0x31, attribute(cn, 12, "a,b+c"))), `CN=a\,b\+c,O=Example`},
		"two in a set": {seq(tlv(0x31, append(attribute(cn, 12, "a"), attribute(o, 12, "b")...))), "CN=a+O=b"},
		"unknown type": {seq(tlv(0x31, attribute(unknown, 22, "x"))), "1.2.3.4=x"},
		"other string": {seq(tlv(0x31, attribute(cn, 30, "\x00a"))), "CN=a"},
		"no name":      {[]byte("\x30\x01"), "3001"},
		"trailing":     {append(seq(), 0), "300000"},
	} {
		if got := tbs.NameString(c.der); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		var rdn pkix.RDNSequence
		want := hex.EncodeToString(c.der)
		if rest, err := asn1.Unmarshal(c.der, &rdn); err == nil && len(rest) == 0 {
			want = rdn.String()
		}
		if c.want != want {
			t.Errorf("%s: Go has %q, want %q", name, want, c.want)
		}
	}
}

// TestNames: every kind of alternative name.
func TestNames(t *testing.T) {
	list := func(names ...[]byte) []byte {
		var all []byte
		for _, n := range names {
			all = append(all, n...)
		}
		return tlv(0x30, all)
	}
	for name, c := range map[string]struct {
		value []byte
		want  string
	}{
		"dns":       {list(tlv(0x82, []byte("www.example.com"))), "dns:www.example.com"},
		"ipv4":      {list(tlv(0x87, []byte{192, 0, 2, 1})), "ip:192.0.2.1"},
		"ipv6":      {list(tlv(0x87, append([]byte{0x20, 1, 0xd, 0xb8}, make([]byte, 12)...))), "ip:2001:db8::"},
		"odd ip":    {list(tlv(0x87, []byte{1, 2, 3})), "7:010203"},
		"email":     {list(tlv(0x81, []byte("a@example.com"))), "email:a@example.com"},
		"uri":       {list(tlv(0x86, []byte("spiffe://a/b"))), "uri:spiffe://a/b"},
		"directory": {list(tlv(0xa4, seq(tlv(0x31, seq(tlv(6, []byte("\x55\x04\x03")), tlv(12, []byte("x"))))))), "dir:CN=x"},
		"other":     {list(tlv(0xa0, []byte{5, 0})), "0:0500"},
		"no list":   {[]byte{5, 0}, "other:0500"},
		"trailing":  {append(list(), 0), "other:300000"},
	} {
		sum := tbs.Summary{Extensions: []tbs.Extension{{ID: []byte("\x55\x1d\x11"), Value: c.value}}}
		if got := sum.Names(); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
