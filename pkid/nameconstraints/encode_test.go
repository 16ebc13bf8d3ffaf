package nameconstraints_test

import (
	"encoding/asn1"
	"net"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hsmpki/hsmpki/pkid/nameconstraints"
)

// encodeConstraints writes "permitted KIND:value" and "excluded KIND:value".
func encodeConstraints(t testing.TB, entries []string) []byte {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for tag, side := range []string{"permitted ", "excluded "} {
			var bases []string
			for _, e := range entries {
				if base, ok := strings.CutPrefix(e, side); ok {
					bases = append(bases, base)
				}
			}
			if len(bases) == 0 {
				continue
			}
			b.AddASN1(cbasn1.Tag(tag).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
				for _, base := range bases {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { addName(t, b, base) })
				}
			})
		}
	})
	return b.BytesOrPanic()
}

func encodeNames(t testing.TB, name string) []byte {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { addName(t, b, name) })
	return b.BytesOrPanic()
}

// addName writes KIND:value as a GeneralName; an IP address may be a range.
func addName(t testing.TB, b *cryptobyte.Builder, name string) {
	t.Helper()
	kind, value, _ := strings.Cut(name, ":")
	context := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific() }
	text := func(n uint8, value []byte) {
		b.AddASN1(context(n), func(b *cryptobyte.Builder) { b.AddBytes(value) })
	}
	switch kind {
	case "email":
		text(1, []byte(value))
	case "DNS":
		text(2, []byte(value))
	case "dir":
		b.AddASN1(context(4).Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(encodeDirectory(t, value)) })
	case "URI":
		text(6, []byte(value))
	case "IP":
		text(7, encodeIP(t, value))
	case "RID":
		var id cryptobyte.Builder
		id.AddASN1ObjectIdentifier(oid(t, value))
		text(8, id.BytesOrPanic()[2:])
	case "other":
		id, value, _ := strings.Cut(value, "=")
		b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oid(t, id))
			b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(value)) })
			})
		})
	default:
		t.Fatalf("a name of kind %q", kind)
	}
}

func encodeIP(t testing.TB, text string) []byte {
	t.Helper()
	if _, r, err := net.ParseCIDR(text); err == nil {
		return append(append([]byte{}, r.IP...), r.Mask...)
	}
	ip := net.ParseIP(text)
	if ip == nil {
		t.Fatalf("no IP address: %q", text)
	}
	if v4 := ip.To4(); v4 != nil {
		return v4
	}
	return ip
}

// encodeDirectory writes /C=NL/O=Org as a Name, the country printable and the
// rest UTF-8.
func encodeDirectory(t testing.TB, text string) []byte {
	t.Helper()
	types := map[string]asn1.ObjectIdentifier{"C": {2, 5, 4, 6}, "O": {2, 5, 4, 10}, "OU": {2, 5, 4, 11}, "CN": {2, 5, 4, 3}}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, a := range strings.Split(text, "/")[1:] {
			kind, value, _ := strings.Cut(a, "=")
			tag := cbasn1.UTF8String
			if kind == "C" {
				tag = cbasn1.PrintableString
			}
			b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(types[kind])
					b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(value)) })
				})
			})
		}
	})
	return b.BytesOrPanic()
}

func oid(t testing.TB, text string) asn1.ObjectIdentifier {
	t.Helper()
	var id asn1.ObjectIdentifier
	for arc := range strings.SplitSeq(text, ".") {
		n, err := strconv.Atoi(arc)
		if err != nil {
			t.Fatal(err)
		}
		id = append(id, n)
	}
	return id
}

// FuzzParse: any octets are refused or judge names without a fault.
func FuzzParse(f *testing.F) {
	for _, c := range []string{"permitted DNS:example.com", "excluded IP:10.0.0.0/8", "permitted dir:/C=NL/O=x", "excluded other:1.2.3=x", "permitted RID:1.2"} {
		for _, n := range []string{"DNS:a.example.com", "IP:10.0.0.1", "dir:/C=NL", "other:1.2.3=x", "URI:https://a@b/", "email:a@b"} {
			f.Add(encodeConstraints(f, []string{c}), encodeNames(f, n))
		}
	}
	f.Fuzz(func(t *testing.T, constraints, names []byte) {
		c, err := nameconstraints.Parse(constraints)
		if err != nil {
			return
		}
		parsed, err := nameconstraints.ParseNames(names)
		if err != nil {
			return
		}
		if err := c.Check(parsed); err != nil && err.Error() == "" {
			t.Fatal("refused without a word")
		}
	})
}
