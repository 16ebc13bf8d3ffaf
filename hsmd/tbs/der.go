package tbs

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// take reads one element with the given tag and gives its contents. cryptobyte
// refuses lengths that are indefinite or not minimal, and high tag numbers.
func take(in *cryptobyte.String, tag byte) (body cryptobyte.String, ok bool) {
	ok = in.ReadASN1(&body, asn1.Tag(tag))
	return body, ok
}

// takeWhole reads one element, whatever its tag.
func takeWhole(in *cryptobyte.String) (element, bool) {
	var whole cryptobyte.String
	var tag asn1.Tag
	if !in.ReadAnyASN1Element(&whole, &tag) {
		return element{}, false
	}
	body := whole
	if !body.ReadASN1(&body, tag) {
		return element{}, false
	}
	return element{tag: byte(tag), der: whole, body: body}, true
}

// takeTrue reads a BOOLEAN that has FALSE as its default, and so can only be
// TRUE (X.690, sections 11.1 and 11.5).
func takeTrue(in *cryptobyte.String) (bool, bool) {
	body, ok := take(in, tagBoolean)
	return true, ok && len(body) == 1 && body[0] == 0xff
}

// integer reports whether body is an INTEGER in as few octets as it needs
// (X.690, section 8.3.2).
func integer(body []byte) bool {
	if len(body) < 2 {
		return len(body) == 1
	}
	return !(body[0] == 0 && body[1]&0x80 == 0) && !(body[0] == 0xff && body[1]&0x80 != 0)
}

// bitString reports whether body is a BIT STRING whose unused bits are zero
// (X.690, section 11.2.1).
func bitString(body []byte) bool {
	if len(body) == 0 || body[0] > 7 {
		return false
	}
	if len(body) == 1 {
		return body[0] == 0
	}
	return body[len(body)-1]&(1<<body[0]-1) == 0
}

// objectIdentifier reports whether body is an OBJECT IDENTIFIER in minimal
// form whose arcs are below 2^31, which is what all readers can hold.
func objectIdentifier(body []byte) bool {
	if len(body) == 0 || body[len(body)-1]&0x80 != 0 {
		return false
	}
	arc, start := uint64(0), true
	for _, b := range body {
		if start && b == 0x80 {
			return false
		}
		arc = arc<<7 | uint64(b&0x7f)
		if arc >= 1<<31 {
			return false
		}
		if start = b&0x80 == 0; start {
			arc = 0
		}
	}
	return true
}

// algorithmIdentifier checks the contents of an AlgorithmIdentifier of any
// algorithm.
func algorithmIdentifier(body cryptobyte.String) bool {
	id, ok := take(&body, tagOID)
	if !ok || !objectIdentifier(id) {
		return false
	}
	return body.Empty() || anyValue(&body, maxDepth) && body.Empty()
}

// anyValue reads one value whose type is not known here and checks that it is
// DER as far as that shows.
func anyValue(in *cryptobyte.String, depth int) bool {
	value, ok := takeWhole(in)
	if !ok || depth == 0 {
		return false
	}
	if value.tag&0x20 != 0 {
		// Of the universal types, only these two are constructed in DER.
		if value.tag < 0x40 && value.tag != tagSequence && value.tag != tagSet {
			return false
		}
		for body := value.body; !body.Empty(); {
			if !anyValue(&body, depth-1) {
				return false
			}
		}
		return true
	}
	switch value.tag {
	case tagBoolean:
		return len(value.body) == 1 && (value.body[0] == 0 || value.body[0] == 0xff)
	case tagInteger, tagEnumerated:
		return integer(value.body)
	case tagBitString:
		return bitString(value.body)
	case tagNull:
		return len(value.body) == 0
	case tagOID:
		return objectIdentifier(value.body)
	case tagUTF8, tagPrintable, tagIA5, tagNumeric, tagTeletex, tagBMP:
		return directoryString(value.tag, value.body)
	case tagSequence &^ 0x20, tagSet &^ 0x20, 0:
		return false
	}
	return true
}
