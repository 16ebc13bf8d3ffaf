package role

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

// names are all names that a certificate is to carry.
type names struct {
	common      string
	serial      string
	dns, emails []string
	ips         []net.IP
	uris        []*url.URL
	others      []issuance.OtherName
	userIDs     []string
	// fromCSR: the alternative names are the CSR's.
	fromCSR bool
	// What of the wish does not parse comes to light only when its turn comes.
	ipsAsked, urisAsked, othersAsked []string
}

// names gathers the names of wish and CSR as the role says.
func (r *Role) names(w *Wish, csr *CSR) (*names, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	n := &names{serial: w.SerialNumber, userIDs: w.UserIDs, othersAsked: w.OtherSANs}
	if csr != nil {
		if r.UseCSRCommonName {
			n.common = csr.request.Subject.CommonName
		}
		if n.serial == "" && r.SerialNumberSource == serialFromEither {
			n.serial = csr.request.Subject.SerialNumber
		}
		if len(n.userIDs) == 0 {
			n.userIDs = csr.userIDs
		}
	}
	if n.common == "" {
		n.common = w.CommonName
	}
	if n.common == "" && r.RequireCN {
		return nil, refuse(`the common_name field is required, or must be provided in a CSR with "use_csr_common_name" set to true, unless "require_cn" is set to false`)
	}
	alternative := w.AltNames
	if csr != nil && r.UseCSRSANs {
		alternative, n.fromCSR = nil, true
		n.dns = slices.Clone(csr.request.DNSNames)
		n.emails = slices.Clone(csr.request.EmailAddresses)
		n.ips, n.uris, n.others = csr.request.IPAddresses, csr.request.URIs, slices.Clone(csr.otherNames)
	} else {
		n.ipsAsked, n.urisAsked = w.IPSANs, w.URISANs
	}
	if n.common != "" && !w.ExcludeCNFromSANs {
		// A name that a role need not look at need not be one either.
		if err := n.add(n.common); err != nil && (r.EnforceHostnames || !r.AllowAnyName) {
			return nil, err
		}
	}
	for _, name := range alternative {
		if err := n.add(name); err != nil {
			return nil, err
		}
	}
	return n, n.check()
}

// add takes a name as an alternative name of the kind that it looks like; one
// that looks like none is no alternative name.
func (n *names) add(name string) error {
	if strings.Contains(name, "@") {
		address := asciiName(name)
		if !isASCII(address) {
			return refuse("email address %s cannot be written in a certificate: before the @ it must be of ASCII, and after it a host name", name)
		}
		n.emails = append(n.emails, address)
		return nil
	}
	ascii, err := asciiHost(name)
	if err != nil {
		return refuse("%s", err)
	}
	if isHostname(ascii) {
		n.dns = append(n.dns, ascii)
	}
	return nil
}

// maxCommonName is the upper bound ub-common-name of RFC 5280, appendix A.1.
const maxCommonName = 64

// warnings tell of what is allowed and will trouble those who verify.
func (n *names) warnings() []string {
	if utf8.RuneCountInString(n.common) > maxCommonName {
		return []string{fmt.Sprintf("the common name is longer than the %d characters that RFC 5280 allows; some clients will refuse the certificate", maxCommonName)}
	}
	return nil
}

// sorted returns the names in order, each once, as Vault writes them.
func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
