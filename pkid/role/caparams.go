package role

import (
	"crypto/x509"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// caNames are the parameters that all paths have that make a CA certificate or
// a CSR for one (vault-api 3.1, CA-COMMON): names, which are not restricted, the
// rest of the subject, validity and signature.
type caNames struct {
	wish  *Wish
	rules *Role
}

// readCANames reads them. Conversion errors are in p.Err.
func readCANames(p *vaultapi.Params) caNames {
	c := caNames{ReadWish(p), anyName()}
	c.rules.applySubject(p)
	c.rules.NotBeforeDuration = Seconds(p.Duration("not_before_duration", 30*time.Second) / time.Second)
	c.rules.SignatureBits = p.Int("signature_bits", 0)
	c.rules.UsePSS = p.Bool("use_pss", false)
	return c
}

// names gathers and checks all names.
func (c *caNames) names() (*names, error) {
	w, r := c.wish, c.rules
	if err := w.check(); err != nil {
		return nil, err
	}
	err := checkAll([]parameter{
		{"ou", r.OU}, {"organization", r.Organization}, {"country", r.Country}, {"locality", r.Locality}, {"province", r.Province},
		{"street_address", r.StreetAddress}, {"postal_code", r.PostalCode},
	})
	if err != nil {
		return nil, err
	}
	n, err := r.names(w, nil)
	if err != nil {
		return nil, err
	}
	return n, r.permits(n)
}

// anyName is a role that allows every name and requires none.
func anyName() *Role {
	r := Default()
	r.AllowAnyName = true
	r.EnforceHostnames = false
	r.RequireCN = false
	r.CNValidations = []string{cnDisabled}
	r.AllowedURISANs = []string{"*"}
	r.AllowedOtherSANs = []string{"*"}
	r.AllowedSerialNumbers = []string{"*"}
	r.AllowedUserIDs = []string{"*"}
	r.KeyType, r.KeyBits = KeyAny, 0
	return r
}

// ReadKey reads the key that is to be made for a CA (CA-KEY): key_type, by
// default rsa, and key_bits, made effective. Both are without meaning for a
// managed or an existing key. An error is a *Refusal or one of vaultapi's
// conversion errors.
func ReadKey(p *vaultapi.Params) (keyType string, bits int, err error) {
	keyType = KeyRSA
	if p.Has("key_type") {
		keyType = p.String("key_type")
	}
	bits = p.Int("key_bits", 0)
	if err := p.Err(); err != nil {
		return "", 0, err
	}
	if keyType == KeyAny {
		return "", 0, refuse("unknown key type %s", keyType)
	}
	bits, err = CheckKey(keyType, bits)
	return keyType, bits, err
}

// caPowers are what a CA certificate allows and forbids its holder (CA-ISSUE).
type caPowers struct {
	constraints   issuance.NameConstraints
	maxPathLength int
	keyUsage      x509.KeyUsage // beside CertSign and CRLSign
	warnings      []string
}

func readCAPowers(p *vaultapi.Params) (*caPowers, error) {
	c := &caPowers{maxPathLength: p.Int("max_path_length", -1)}
	usage, unknown := keyUsageBits(p.StringList("key_usage"))
	if err := p.Err(); err != nil {
		return nil, err
	}
	if c.maxPathLength < -1 || c.maxPathLength > maxPathLength {
		return nil, refuse("max_path_length is %d, where -1 (any) to %d are possible", c.maxPathLength, maxPathLength)
	}
	c.keyUsage = usage & x509.KeyUsageDigitalSignature
	if len(unknown) > 0 || usage&^(caUsages|x509.KeyUsageDigitalSignature) != 0 {
		c.warnings = append(c.warnings, "a CA certificate has the key usages CertSign, CRLSign and, if asked for, DigitalSignature; others were ignored")
	}
	if c.maxPathLength == 0 {
		c.warnings = append(c.warnings, "Max path length of the generated certificate is zero. This certificate cannot be used to issue intermediate CA certificates.")
	}
	var err error
	c.constraints, err = readConstraints(p)
	return c, err
}

// maxPathLength is far longer than any chain and short enough for every parser.
const maxPathLength = 1000
