package tbs

import (
	"encoding/hex"
	"net/netip"
	"strconv"

	"golang.org/x/crypto/cryptobyte"
)

// idSubjectAltName is the extension's object identifier, contents octets.
const idSubjectAltName = "\x55\x1d\x11"

// Names lists what a certificate's or request's subjectAltName holds (RFC 5280,
// section 4.2.1.6), for logs: "dns:www.example.com", "ip:", "email:", "uri:",
// "dir:" with a name of RFC 4514; what is none of these in hexadecimal, after its
// tag's number. A list that does not read as one is given whole, as "other:".
func (s *Summary) Names() (names []string) {
	value, ok := s.extension(idSubjectAltName)
	if !ok {
		return nil
	}
	in := cryptobyte.String(value)
	list, ok := take(&in, tagSequence)
	for ok && !list.Empty() {
		tag := list[0]
		var body cryptobyte.String
		if body, ok = take(&list, tag); ok {
			names = append(names, altName(tag, body))
		}
	}
	if !ok || !in.Empty() {
		return []string{"other:" + hex.EncodeToString(value)}
	}
	return names
}

func altName(tag byte, body []byte) string {
	switch tag {
	case 0x81:
		return "email:" + string(body)
	case 0x82:
		return "dns:" + string(body)
	case 0x86:
		return "uri:" + string(body)
	case 0x87:
		if ip, ok := netip.AddrFromSlice(body); ok {
			return "ip:" + ip.String()
		}
	case 0xa4:
		return "dir:" + NameString(body)
	}
	return strconv.Itoa(int(tag&0x1f)) + ":" + hex.EncodeToString(body)
}

func (s *Summary) extension(id string) ([]byte, bool) {
	for _, e := range s.Extensions {
		if string(e.ID) == id {
			return e.Value, true
		}
	}
	return nil, false
}
