package constraint

import "crypto/x509"

// Object identifiers, contents octets.
const (
	idSubjectKeyID    = "\x55\x1d\x0e"
	idKeyUsage        = "\x55\x1d\x0f"
	idSubjectAltName  = "\x55\x1d\x11"
	idBasic           = "\x55\x1d\x13"
	idCRLNumber       = "\x55\x1d\x14"
	idDeltaCRL        = "\x55\x1d\x1b"
	idDistribution    = "\x55\x1d\x1c" // issuingDistributionPoint
	idNameConstraints = "\x55\x1d\x1e"
	idCRLPoints       = "\x55\x1d\x1f"
	idPolicies        = "\x55\x1d\x20"
	idPolicyMappings  = "\x55\x1d\x21"
	idAuthorityKeyID  = "\x55\x1d\x23"
	idPolicyLimits    = "\x55\x1d\x24" // policyConstraints
	idUsages          = "\x55\x1d\x25" // extKeyUsage
	idInhibitAny      = "\x55\x1d\x36" // inhibitAnyPolicy
	idAuthorityInfo   = "\x2b\x06\x01\x05\x05\x07\x01\x01"
	idTLSFeature      = "\x2b\x06\x01\x05\x05\x07\x01\x18"     // RFC 7633
	idNetscapeType    = "\x60\x86\x48\x01\x86\xf8\x42\x01\x01" // 2.16.840.1.113730.1.1
	idNetscapeServer  = "\x60\x86\x48\x01\x86\xf8\x42\x01\x0c" // 2.16.840.1.113730.1.12
	idMicrosoftSID    = "\x2b\x06\x01\x04\x01\x82\x37\x19\x02" // 1.3.6.1.4.1.311.25.2
	idCommonName      = "\x55\x04\x03"                         // 2.5.4.3
	idEmailAddress    = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01" // 1.2.840.113549.1.9.1
	idOCSPSigning     = "\x2b\x06\x01\x05\x05\x07\x03\x09"     // 1.3.6.1.5.5.7.3.9
)

// usageOIDs are the words of extended_key_usages.
var usageOIDs = map[string]string{
	"server_auth":      "1.3.6.1.5.5.7.3.1",
	"client_auth":      "1.3.6.1.5.5.7.3.2",
	"code_signing":     "1.3.6.1.5.5.7.3.3",
	"email_protection": "1.3.6.1.5.5.7.3.4",
	"time_stamping":    "1.3.6.1.5.5.7.3.8",
	"ocsp_signing":     "1.3.6.1.5.5.7.3.9",
}

// oids is a list of object identifiers, by their contents octets.
type oids struct {
	list map[string]bool // nil: there is no list
	bad  string          // the first that is none
}

func (o *oids) add(dotted string) {
	der, ok := contents(dotted)
	if !ok && o.bad == "" {
		o.bad = dotted
	}
	if o.list == nil {
		o.list = map[string]bool{}
	}
	o.list[der] = true
}

func (o *oids) set() bool { return o.list != nil }

func (o *oids) has(der []byte) bool { return o.list[string(der)] }

func contents(dotted string) (string, bool) {
	id, err := x509.ParseOID(dotted)
	if err != nil {
		return "", false
	}
	der, err := id.MarshalBinary()
	return string(der), err == nil
}

// dotted writes an object identifier for people.
func dotted(der []byte) string {
	var id x509.OID
	if err := id.UnmarshalBinary(der); err != nil {
		return "?"
	}
	return id.String()
}
