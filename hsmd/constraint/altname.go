package constraint

import (
	"net/netip"
	"strconv"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hsmpki/hsmpki/hsmd/tbs"
)

// The tags of a GeneralName (RFC 5280, section 4.2.1.6).
const (
	tagOther      = 0xa0
	tagEmail      = 0x81
	tagDNS        = 0x82
	tagX400       = 0xa3
	tagDirectory  = 0xa4
	tagEDIParty   = 0xa5
	tagURI        = 0x86
	tagIP         = 0x87
	tagRegistered = 0x88
)

// generalName is one name: its tag and contents octets.
type generalName struct {
	tag       byte
	value     []byte
	otherType []byte // an other name's type
}

// generalNames reads a subjectAltName; nil if it is malformed or empty.
func generalNames(value []byte) (all []generalName) {
	in := cryptobyte.String(value)
	var list cryptobyte.String
	if !in.ReadASN1(&list, asn1.SEQUENCE) || !in.Empty() {
		return nil
	}
	for !list.Empty() {
		var body cryptobyte.String
		var tag asn1.Tag
		if !list.ReadAnyASN1(&body, &tag) {
			return nil
		}
		g := generalName{tag: byte(tag), value: body}
		if !g.read(body) {
			return nil
		}
		all = append(all, g)
	}
	return all
}

// read checks the frame of a name.
func (g *generalName) read(body cryptobyte.String) bool {
	switch g.tag {
	case tagEmail, tagDNS, tagURI:
		for _, c := range body {
			if c >= 0x80 {
				return false // no IA5String
			}
		}
		return len(body) > 0
	case tagIP:
		return len(body) == 4 || len(body) == 16
	case tagDirectory:
		_, ok := directoryName(string(body))
		return ok
	case tagOther:
		var id, wrapped, inner cryptobyte.String
		var tag asn1.Tag
		if !body.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) || dotted(id) == "?" ||
			!body.ReadASN1(&wrapped, asn1.Tag(0).ContextSpecific().Constructed()) || !body.Empty() ||
			!wrapped.ReadAnyASN1Element(&inner, &tag) || !wrapped.Empty() {
			return false
		}
		g.otherType = id
		return true
	case tagX400, tagEDIParty:
		return true
	case tagRegistered:
		return dotted(body) != "?"
	}
	return false
}

// shown writes a name for people.
func shown(what, raw string) string {
	switch what {
	case "IP address":
		if ip, ok := netip.AddrFromSlice([]byte(raw)); ok {
			return ip.String()
		}
	case "directory name":
		return strconv.Quote(tbs.NameString([]byte(raw)))
	}
	const most = 256
	if len(raw) > most {
		raw = raw[:most] + "…"
	}
	return strconv.Quote(raw)
}
