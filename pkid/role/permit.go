package role

import (
	"net"
	"net/url"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// permits checks all names but the user ids, in Vault's order (vault-api 4.5);
// the first that the role does not allow is the *Refusal. It parses what of
// the wish is not parsed yet.
func (r *Role) permits(n *names) error {
	if n.common != "" && !r.permitsCommonName(n.common) {
		return refuse("common name %s not allowed by this role", n.common)
	}
	if n.serial != "" && !r.permitsSerialNumber(n.serial) {
		return refuse("serial_number %s not allowed by this role", n.serial)
	}
	for _, name := range n.dns {
		if !r.permitsName(name) {
			return refuse("subject alternate name %s not allowed by this role", name)
		}
	}
	for _, name := range n.emails {
		if !r.permitsName(name) {
			return refuse("email address %s not allowed by this role", name)
		}
	}
	if len(n.othersAsked) > 0 {
		asked, err := parseOtherNames(n.othersAsked)
		if err != nil {
			return refuse("could not parse requested other SAN: %s", err)
		}
		n.others = append(n.others, asked...)
	}
	if err := r.permitsOtherNames(n.others); err != nil {
		return err
	}
	if err := r.permitsIPs(n); err != nil {
		return err
	}
	return r.permitsURIs(n)
}

func (r *Role) permitsIPs(n *names) error {
	if len(n.ips)+len(n.ipsAsked) == 0 {
		return nil
	}
	for _, text := range n.ipsAsked {
		ip := net.ParseIP(text)
		if ip == nil {
			return refuse("the value %q is not a valid IP address", text)
		}
		n.ips = append(n.ips, ip)
	}
	if !r.AllowIPSANs {
		return refuse("IP Subject Alternative Names are not allowed in this role, but was provided via %s", n.source())
	}
	return nil
}

func (r *Role) permitsURIs(n *names) error {
	if len(n.uris)+len(n.urisAsked) == 0 {
		return nil
	}
	if len(r.AllowedURISANs) == 0 {
		return refuse("URI Subject Alternative Names are not allowed in this role, but were provided via %s", n.source())
	}
	for _, uri := range n.uris {
		if !r.permitsURI(uri.String()) {
			return refuse("URI Subject Alternative Names were provided via %s which are not valid for this role", n.source())
		}
	}
	for _, text := range n.urisAsked {
		if !r.permitsURI(text) {
			return refuse("URI Subject Alternative Names were provided via %s which are not valid for this role", n.source())
		}
		uri, err := url.Parse(text)
		if err != nil {
			return refuse("the provided URI Subject Alternative Name %q is not a valid URI", text)
		}
		n.uris = append(n.uris, uri)
	}
	for i, uri := range n.uris {
		var err error
		if n.uris[i], err = writableURI(uri); err != nil {
			return err
		}
	}
	return nil
}

// writableURI is the URI with its host in A-labels (RFC 5280, section 7.4). It
// must be absolute and name something (section 4.2.1.6).
func writableURI(uri *url.URL) (*url.URL, error) {
	if uri.Scheme == "" || uri.Host+uri.Opaque+uri.Path == "" {
		return nil, refuse("the provided URI Subject Alternative Name %q is not absolute: it needs a scheme and what follows it", uri)
	}
	if isASCII(uri.Host) {
		return uri, nil
	}
	host, err := asciiHost(uri.Hostname())
	if err != nil {
		return nil, refuse("the provided URI Subject Alternative Name %q has no host name: %s", uri, err)
	}
	converted := *uri
	if converted.Host = host; uri.Port() != "" {
		converted.Host += ":" + uri.Port()
	}
	return &converted, nil
}

// source says where the alternative names came from.
func (n *names) source() string {
	if n.fromCSR {
		return "CSR"
	}
	return "the API"
}

func (r *Role) permitsURI(uri string) bool {
	for _, pattern := range r.AllowedURISANs {
		if pattern == "" || r.AllowedURISANsTemplate && isTemplate(pattern) {
			continue
		}
		if vaultapi.GlobMatch(pattern, uri) {
			return true
		}
	}
	return false
}

func (r *Role) permitsSerialNumber(serial string) bool {
	for _, pattern := range r.AllowedSerialNumbers {
		if pattern != "" && vaultapi.GlobMatch(pattern, serial) {
			return true
		}
	}
	return false
}

func (r *Role) permitsUserID(id string) bool {
	for _, pattern := range r.AllowedUserIDs {
		if pattern != "" && (strings.EqualFold(pattern, id) || vaultapi.GlobMatch(pattern, id)) {
			return true
		}
	}
	return false
}
