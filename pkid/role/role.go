// Package role knows Vault's PKI role: its fields, and how a caller's wish
// becomes a certificate request that the role allows, or a refusal in Vault's
// words. It has no storage, no network and no clock, knows no key and signs
// nothing; pkid/ca keeps roles and hands their requests to pkid/issuance.
//
// Start with Role (fields.go) and Role.Request (request.go), which is the order
// of all checks; the rules for names are in names.go. Where this differs from a
// running server of the same API is in README.md.
package role

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

// Refusal says that a role, a wish or a CSR is not acceptable, in words for the
// caller: HTTP 400. Any other error of this package is a fault on our side.
type Refusal = issuance.Refusal

// refuse returns a *Refusal.
func refuse(format string, args ...any) error { return issuance.Refuse(format, args...) }

// Terms are what is known, beside the role, when a certificate is asked for.
type Terms struct {
	// Now is the time of the request.
	Now time.Time
	// DefaultTTL and MaxTTL are the mount's, or the system's where it has none.
	DefaultTTL, MaxTTL time.Duration
	// Issuer is the certificate of the CA that will sign; nil for a root.
	Issuer *x509.Certificate
	// Beyond decides on certificates that would outlive the issuer.
	Beyond NotAfterBehavior
}

// Encode returns the role as it is stored: JSON with the names of the API and
// durations in seconds.
func (r *Role) Encode() ([]byte, error) {
	value, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode role: %w", err)
	}
	return value, nil
}

// Decode reads what Encode wrote. Fields that a later version added have their
// defaults.
func Decode(value []byte) (*Role, error) {
	r := Default()
	if err := json.Unmarshal(value, r); err != nil {
		return nil, fmt.Errorf("decode role: %w", err)
	}
	return r, nil
}
