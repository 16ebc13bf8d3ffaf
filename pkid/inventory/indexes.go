package inventory

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"
)

// What an entry of the index of names says: where in the certificate the name
// stands.
const (
	inCommonName = 1 << iota
	inAlternativeName
)

// indexEntry is one key of an index.
type indexEntry struct{ key, value []byte }

// entries are a stored certificate's keys in all indexes.
func (v Inventory) entries(issuer, role string, c *x509.Certificate) []indexEntry {
	serial := c.SerialNumber.Bytes()
	list := []indexEntry{
		{v.space.ByExpiry().Entry(c.NotAfter, serial), nil},
		{v.space.ByIssuer(issuer).Entry(c.NotAfter, serial), nil},
	}
	if role != "" {
		list = append(list, indexEntry{v.space.ByRole(role).Entry(c.NotAfter, serial), nil})
	}
	for name, where := range names(c) {
		list = append(list, indexEntry{v.space.ByName(name).Entry(c.NotAfter, serial), []byte{where}})
	}
	return list
}

// names are a certificate's names in the form of the index, and where they
// stand.
func names(c *x509.Certificate) map[string]byte {
	found := map[string]byte{}
	add := func(name string, where byte) {
		if name != "" {
			found[nameKey(name)] |= where
		}
	}
	add(c.Subject.CommonName, inCommonName)
	for _, name := range slices.Concat(c.DNSNames, c.EmailAddresses) {
		add(name, inAlternativeName)
	}
	for _, ip := range c.IPAddresses {
		add(ip.String(), inAlternativeName)
	}
	for _, uri := range c.URIs {
		add(uri.String(), inAlternativeName)
	}
	return found
}

// maxNameKey bounds a name in the index, in octets.
const maxNameKey = 320

// nameKey is a name as the index has it: in lower case, and what reads as a
// host name or an e-mail address by its labels from the right, so that the
// names below a domain stand together: "com.example.www", "com.example@user".
// What is too long for a key is there by its hash.
func nameKey(name string) string {
	name = strings.ToLower(name)
	if len(name) > maxNameKey || strings.ContainsRune(name, 0) {
		sum := sha256.Sum256([]byte(name))
		return "#" + hex.EncodeToString(sum[:])
	}
	if strings.ContainsAny(name, "/:") {
		return name // a URI, an IPv6 address
	}
	local, host, isEmail := strings.Cut(name, "@")
	if !isEmail {
		host = name
	}
	labels := strings.Split(host, ".")
	slices.Reverse(labels)
	key := strings.Join(labels, ".")
	if isEmail {
		key += "@" + local
	}
	return key
}
