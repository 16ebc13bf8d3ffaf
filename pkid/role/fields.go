package role

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hsmpki/hsmpki/pkid/lint"
)

// Role is a set of rules under which certificates are issued, with the fields
// of Vault's roles/:name. Lists are never nil once a role came from FromParams,
// Merge or Decode, as the API answers [] and not null.
type Role struct {
	// IssuerRef names the issuer, by id, name or "default"; resolved at use.
	IssuerRef string `json:"issuer_ref"`

	// TTL and MaxTTL of 0 mean the mount's. NotAfter, if set, is an absolute
	// end in RFC 3339 that wins over what is asked for.
	TTL               Seconds `json:"ttl"`
	MaxTTL            Seconds `json:"max_ttl"`
	NotAfter          string  `json:"not_after"`
	NotBeforeDuration Seconds `json:"not_before_duration"`

	// The rules for host names and e-mail addresses; see names.go.
	AllowLocalhost            bool     `json:"allow_localhost"`
	AllowedDomains            []string `json:"allowed_domains"`
	AllowedDomainsTemplate    bool     `json:"allowed_domains_template"`
	AllowBareDomains          bool     `json:"allow_bare_domains"`
	AllowSubdomains           bool     `json:"allow_subdomains"`
	AllowGlobDomains          bool     `json:"allow_glob_domains"`
	AllowWildcardCertificates bool     `json:"allow_wildcard_certificates"`
	AllowAnyName              bool     `json:"allow_any_name"`
	EnforceHostnames          bool     `json:"enforce_hostnames"`
	RequireCN                 bool     `json:"require_cn"`
	CNValidations             []string `json:"cn_validations"`

	// The rules for everything else that names a subject. Globs: "*" stands
	// for any characters.
	AllowIPSANs            bool     `json:"allow_ip_sans"`
	AllowedURISANs         []string `json:"allowed_uri_sans"`
	AllowedURISANsTemplate bool     `json:"allowed_uri_sans_template"`
	AllowedOtherSANs       []string `json:"allowed_other_sans"`
	AllowedSerialNumbers   []string `json:"allowed_serial_numbers"`
	SerialNumberSource     string   `json:"serial_number_source"`
	AllowedUserIDs         []string `json:"allowed_user_ids"`

	// What of a CSR counts; the key always does.
	UseCSRCommonName bool `json:"use_csr_common_name"`
	UseCSRSANs       bool `json:"use_csr_sans"`

	KeyType       string `json:"key_type"`
	KeyBits       int    `json:"key_bits"`
	SignatureBits int    `json:"signature_bits"`
	UsePSS        bool   `json:"use_pss"`

	ServerFlag          bool     `json:"server_flag"`
	ClientFlag          bool     `json:"client_flag"`
	CodeSigningFlag     bool     `json:"code_signing_flag"`
	EmailProtectionFlag bool     `json:"email_protection_flag"`
	KeyUsage            []string `json:"key_usage"`
	ExtKeyUsage         []string `json:"ext_key_usage"`
	ExtKeyUsageOIDs     []string `json:"ext_key_usage_oids"`

	OU            []string `json:"ou"`
	Organization  []string `json:"organization"`
	Country       []string `json:"country"`
	Locality      []string `json:"locality"`
	Province      []string `json:"province"`
	StreetAddress []string `json:"street_address"`
	PostalCode    []string `json:"postal_code"`

	// PolicyIdentifiers are dotted OIDs, or JSON objects with oid, cps and notice.
	PolicyIdentifiers             []string `json:"policy_identifiers"`
	BasicConstraintsValidForNonCA bool     `json:"basic_constraints_valid_for_non_ca"`

	// NoStore keeps certificates out of the state. GenerateLease is stored and
	// read back only, with a warning: leases are not issued. NoStoreMetadata
	// is stored and read back only: certificate metadata is not kept.
	NoStore         bool `json:"no_store"`
	NoStoreMetadata bool `json:"no_store_metadata"`
	GenerateLease   bool `json:"generate_lease"`

	// What is looked at before signing, and what follows; ours, not Vault's.
	// Each that is empty is the mount's. LintSources are in zlint's spelling.
	Lint        string   `json:"lint"` // a mode of pkid/lint
	LintWaive   []string `json:"lint_waive"`
	LintSources []string `json:"lint_sources"`
}

// Seconds is a duration as the API and the state write it: whole seconds.
type Seconds int64

// Duration is s for computing with.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }

// The values of SerialNumberSource: whether the subject's serial number of a
// CSR counts when the request has none.
const (
	serialFromEither = "json-csr"
	serialFromJSON   = "json"
)

// Default is the role of which no field was given.
func Default() *Role {
	return &Role{
		IssuerRef:                 "default",
		NotBeforeDuration:         30,
		AllowLocalhost:            true,
		AllowedDomains:            []string{},
		AllowWildcardCertificates: true,
		EnforceHostnames:          true,
		RequireCN:                 true,
		CNValidations:             []string{cnEmail, cnHostname},
		AllowIPSANs:               true,
		AllowedURISANs:            []string{},
		AllowedOtherSANs:          []string{},
		AllowedSerialNumbers:      []string{},
		SerialNumberSource:        serialFromEither,
		AllowedUserIDs:            []string{},
		UseCSRCommonName:          true,
		UseCSRSANs:                true,
		KeyType:                   KeyRSA,
		KeyBits:                   2048,
		SignatureBits:             256,
		ServerFlag:                true,
		ClientFlag:                true,
		KeyUsage:                  []string{"DigitalSignature", "KeyAgreement", "KeyEncipherment"},
		ExtKeyUsage:               []string{},
		ExtKeyUsageOIDs:           []string{},
		OU:                        []string{},
		Organization:              []string{},
		Country:                   []string{},
		Locality:                  []string{},
		Province:                  []string{},
		StreetAddress:             []string{},
		PostalCode:                []string{},
		PolicyIdentifiers:         []string{},
		LintWaive:                 []string{},
		LintSources:               []string{},
	}
}

// LintSettings are what the role says of linting.
func (r *Role) LintSettings() lint.Settings {
	return lint.Settings{Mode: r.Lint, Waive: r.LintWaive, Sources: r.LintSources}
}

// Response is the role as roles/:name answers it: all fields, durations in
// seconds, and allow_token_displayname, which Vault still answers and nobody
// can set.
func (r *Role) Response() (map[string]any, error) {
	value, err := r.Encode()
	if err != nil {
		return nil, err
	}
	var data map[string]any
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber() // 87600h must not be answered as 3.1536e+08
	if err := d.Decode(&data); err != nil {
		return nil, fmt.Errorf("role answer: %w", err)
	}
	data["allow_token_displayname"] = false
	return data, nil
}
