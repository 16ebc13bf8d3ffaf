package role

import (
	"strings"
	"unicode"
)

// What one request may ask for at most, and what one role may hold. They bound
// the work and the size of a certificate; RFC 5280's own bounds are narrower.
const (
	maxNames   = 1000 // names of all kinds
	maxText    = 2048 // octets of one name or attribute
	maxEntries = 10_000
	maxEntry   = 4096 // octets of an entry of a role's list
)

// check refuses a wish that is too large, by the parameter that makes it so.
func (w *Wish) check() error {
	err := checkAll([]parameter{
		{"alt_names", w.AltNames}, {"ip_sans", w.IPSANs}, {"uri_sans", w.URISANs}, {"other_sans", w.OtherSANs}, {"user_ids", w.UserIDs},
	})
	if err != nil {
		return err
	}
	if err := checkText("common_name", w.CommonName); err != nil {
		return err
	}
	if err := checkText("serial_number", w.SerialNumber); err != nil {
		return err
	}
	return checkText("not_after", w.NotAfter)
}

// parameter is a list that a request gives.
type parameter struct {
	field  string
	values []string
}

// checkAll refuses parameters that have too many values in all, or one that is
// too long or cannot be written in a certificate.
func checkAll(parameters []parameter) error {
	total := 0
	for _, p := range parameters {
		if total += len(p.values); total > maxNames {
			return refuse("%s: %d names are asked for up to here, where %d are possible in all", p.field, total, maxNames)
		}
		for _, v := range p.values {
			if err := checkText(p.field, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// check refuses what of the subject no reader could make sense of, wherever it
// came from: a NUL in a common name has fooled readers before.
func (n *names) check() error {
	if err := checkText("the common name", n.common); err != nil {
		return err
	}
	if err := checkText("the serial number of the subject", n.serial); err != nil {
		return err
	}
	for _, id := range n.userIDs {
		if err := checkText("the user id", id); err != nil {
			return err
		}
	}
	return nil
}

func checkText(field, value string) error {
	if len(value) > maxText {
		return refuse("%s: a value of %d octets, where %d are possible", field, len(value), maxText)
	}
	if i := strings.IndexFunc(value, unicode.IsControl); i >= 0 {
		return refuse("%s: %q has control characters", field, value)
	}
	return nil
}

// checkLists refuses a role's lists that are too long, or have entries that are,
// or that cannot be written in a certificate.
func (r *Role) checkLists() error {
	for _, list := range []struct {
		field  string
		values []string
	}{
		{"allowed_domains", r.AllowedDomains}, {"allowed_uri_sans", r.AllowedURISANs}, {"allowed_other_sans", r.AllowedOtherSANs},
		{"allowed_serial_numbers", r.AllowedSerialNumbers}, {"allowed_user_ids", r.AllowedUserIDs},
		{"key_usage", r.KeyUsage}, {"ext_key_usage", r.ExtKeyUsage}, {"ext_key_usage_oids", r.ExtKeyUsageOIDs},
		{"ou", r.OU}, {"organization", r.Organization}, {"country", r.Country}, {"locality", r.Locality}, {"province", r.Province},
		{"street_address", r.StreetAddress}, {"postal_code", r.PostalCode}, {"policy_identifiers", r.PolicyIdentifiers},
		{"cn_validations", r.CNValidations},
	} {
		if len(list.values) > maxEntries {
			return refuse("%s: %d entries, where %d are possible", list.field, len(list.values), maxEntries)
		}
		for _, v := range list.values {
			if len(v) > maxEntry {
				return refuse("%s: an entry of %d octets, where %d are possible", list.field, len(v), maxEntry)
			}
			if strings.ContainsFunc(v, unicode.IsControl) {
				return refuse("%s: the entry %q has control characters", list.field, v)
			}
		}
	}
	return checkText("issuer_ref", r.IssuerRef)
}
