package tbs

import (
	"bytes"

	"golang.org/x/crypto/cryptobyte"
)

// extensions takes the explicitly tagged list that ends a message.
func (p *parser) extensions(tag byte) ([]Extension, error) {
	wrapped, err := p.in.want(tag, maxField, "the list of extensions")
	if err != nil {
		return nil, err
	}
	return readExtensions(wrapped.body)
}

// readExtensions reads one SEQUENCE of extensions and nothing else (RFC 5280,
// section 4.1.2.9): at least one, and none twice (section 4.2).
func readExtensions(in cryptobyte.String) ([]Extension, error) {
	list, ok := take(&in, tagSequence)
	if !ok || !in.Empty() || list.Empty() {
		return nil, malformed("has a list of extensions that is malformed or empty")
	}
	extensions := make([]Extension, 0, 10)
	for !list.Empty() {
		extension, ok := readExtension(&list)
		if !ok {
			return nil, malformed("has a malformed extension")
		}
		if len(extensions) == maxExts {
			return nil, malformed("has more than %d extensions", maxExts)
		}
		for i := range extensions {
			if bytes.Equal(extensions[i].ID, extension.ID) {
				return nil, malformed("has the same extension twice")
			}
		}
		extensions = append(extensions, extension)
	}
	return extensions, nil
}

func readExtension(list *cryptobyte.String) (Extension, bool) {
	body, ok := take(list, tagSequence)
	if !ok {
		return Extension{}, false
	}
	id, ok := take(&body, tagOID)
	if !ok || !objectIdentifier(id) {
		return Extension{}, false
	}
	critical := false
	if len(body) > 0 && body[0] == tagBoolean {
		if critical, ok = takeTrue(&body); !ok {
			return Extension{}, false
		}
	}
	value, ok := take(&body, tagOctetString)
	return Extension{ID: id, Critical: critical, Value: value}, ok && body.Empty()
}
