package ca

import (
	"bytes"
	"regexp"
	"strings"
)

var objectName = regexp.MustCompile(`^\w([\w.-]*\w)?$`)

// checkName checks the name of an issuer or key that is to be made.
func checkName(kind, name string) error {
	switch {
	case name == "":
		return nil
	case strings.EqualFold(name, "default"):
		return refuse("reserved keyword 'default' can not be used as %s name", kind)
	case !objectName.MatchString(name) || len(name) > 128:
		return refuse("%s name contained invalid characters", kind)
	}
	return nil
}

// freeIssuerName refuses a name that another issuer than the one with this id
// has: two of one name would be one reference for two.
func (v *view) freeIssuerName(name, id string) error {
	for _, i := range v.issuers {
		if name != "" && i.Name == name && i.ID != id {
			return refuse("issuer name already in use")
		}
	}
	return nil
}

// freeKeyName refuses a name that the entry of another key pair has.
func (v *view) freeKeyName(name string, spki []byte) error {
	for _, k := range v.keys {
		if name != "" && k.Name == name && !bytes.Equal(k.SPKI, spki) {
			return refuse("key name already in use")
		}
	}
	return nil
}
