package role

import (
	"slices"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/lint"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// FromParams reads a whole role, as POST roles/:name replaces one: what is not
// given has its default. The warnings are for the answer; an error is a
// *Refusal or one of vaultapi's conversion errors, 400 both.
func FromParams(p *vaultapi.Params) (*Role, []string, error) {
	r := Default()
	r.KeyBits, r.SignatureBits = 0, 0 // their defaults depend on key_type
	return r.apply(p)
}

// Merge returns the role with the fields that are given replaced, as PATCH
// roles/:name does. The receiver is left alone. Where the key type changes, the
// sizes that belonged to the old one go with it.
func (r *Role) Merge(p *vaultapi.Params) (*Role, []string, error) {
	merged := *r
	if p.Has("key_type") && p.String("key_type") != r.KeyType {
		merged.KeyBits, merged.SignatureBits = 0, 0
	}
	return merged.apply(p)
}

// apply overwrites r with what p gives and checks the result.
func (r *Role) apply(p *vaultapi.Params) (*Role, []string, error) {
	if p.Has("issuer_ref") {
		if r.IssuerRef = strings.TrimSpace(p.String("issuer_ref")); r.IssuerRef == "" {
			r.IssuerRef = "default"
		}
	}
	r.applyValidity(p)
	r.applyNames(p)
	r.applyKeys(p)
	r.applySubject(p)
	policyList(p, &r.PolicyIdentifiers)
	r.BasicConstraintsValidForNonCA = p.Bool("basic_constraints_valid_for_non_ca", r.BasicConstraintsValidForNonCA)
	r.NoStore = p.Bool("no_store", r.NoStore)
	r.NoStoreMetadata = p.Bool("no_store_metadata", r.NoStoreMetadata)
	r.GenerateLease = p.Bool("generate_lease", r.GenerateLease)
	r.applyLint(p)
	if err := p.Err(); err != nil {
		return nil, nil, err
	}
	warnings := r.warnings()
	if err := r.check(); err != nil {
		return nil, nil, err
	}
	return r, warnings, nil
}

func (r *Role) applyValidity(p *vaultapi.Params) {
	seconds := func(name string, field *Seconds) {
		span := p.Duration(name, field.Duration())
		if span > 0 && span < time.Second {
			p.Fail(name, "%s is less than a second", span)
		}
		*field = Seconds(span / time.Second)
	}
	seconds("ttl", &r.TTL)
	seconds("max_ttl", &r.MaxTTL)
	seconds("not_before_duration", &r.NotBeforeDuration)
	if p.Present("not_after") {
		r.NotAfter = p.String("not_after")
	}
}

func (r *Role) applyNames(p *vaultapi.Params) {
	r.AllowLocalhost = p.Bool("allow_localhost", r.AllowLocalhost)
	list(p, "allowed_domains", &r.AllowedDomains)
	r.AllowedDomainsTemplate = p.Bool("allowed_domains_template", r.AllowedDomainsTemplate)
	r.AllowBareDomains = p.Bool("allow_bare_domains", r.AllowBareDomains)
	r.AllowSubdomains = p.Bool("allow_subdomains", r.AllowSubdomains)
	r.AllowGlobDomains = p.Bool("allow_glob_domains", r.AllowGlobDomains)
	r.AllowWildcardCertificates = p.Bool("allow_wildcard_certificates", r.AllowWildcardCertificates)
	r.AllowAnyName = p.Bool("allow_any_name", r.AllowAnyName)
	r.EnforceHostnames = p.Bool("enforce_hostnames", r.EnforceHostnames)
	r.RequireCN = p.Bool("require_cn", r.RequireCN)
	list(p, "cn_validations", &r.CNValidations)
	r.AllowIPSANs = p.Bool("allow_ip_sans", r.AllowIPSANs)
	list(p, "allowed_uri_sans", &r.AllowedURISANs)
	r.AllowedURISANsTemplate = p.Bool("allowed_uri_sans_template", r.AllowedURISANsTemplate)
	list(p, "allowed_other_sans", &r.AllowedOtherSANs)
	list(p, "allowed_serial_numbers", &r.AllowedSerialNumbers)
	if p.Has("serial_number_source") {
		r.SerialNumberSource = p.String("serial_number_source")
	}
	list(p, "allowed_user_ids", &r.AllowedUserIDs)
	r.UseCSRCommonName = p.Bool("use_csr_common_name", r.UseCSRCommonName)
	r.UseCSRSANs = p.Bool("use_csr_sans", r.UseCSRSANs)
}

func (r *Role) applyKeys(p *vaultapi.Params) {
	if p.Has("key_type") {
		r.KeyType = p.String("key_type")
	}
	r.KeyBits = p.Int("key_bits", r.KeyBits)
	r.SignatureBits = p.Int("signature_bits", r.SignatureBits)
	r.UsePSS = p.Bool("use_pss", r.UsePSS)
	r.ServerFlag = p.Bool("server_flag", r.ServerFlag)
	r.ClientFlag = p.Bool("client_flag", r.ClientFlag)
	r.CodeSigningFlag = p.Bool("code_signing_flag", r.CodeSigningFlag)
	r.EmailProtectionFlag = p.Bool("email_protection_flag", r.EmailProtectionFlag)
	list(p, "key_usage", &r.KeyUsage)
	list(p, "ext_key_usage", &r.ExtKeyUsage)
	list(p, "ext_key_usage_oids", &r.ExtKeyUsageOIDs)
}

func (r *Role) applySubject(p *vaultapi.Params) {
	list(p, "ou", &r.OU)
	list(p, "organization", &r.Organization)
	list(p, "country", &r.Country)
	list(p, "locality", &r.Locality)
	list(p, "province", &r.Province)
	list(p, "street_address", &r.StreetAddress)
	list(p, "postal_code", &r.PostalCode)
}

func (r *Role) applyLint(p *vaultapi.Params) {
	if p.Present("lint") {
		r.Lint = p.String("lint")
	}
	list(p, "lint_waive", &r.LintWaive)
	list(p, "lint_sources", &r.LintSources)
}

// list overwrites a list that was sent, be it with nothing.
func list(p *vaultapi.Params, name string, field *[]string) {
	if !p.Present(name) {
		return
	}
	*field = p.StringList(name)
	if *field == nil {
		*field = []string{}
	}
}

// policyList reads policy_identifiers, which may also be one text that is a
// JSON array of objects; commas inside of that separate nothing.
func policyList(p *vaultapi.Params, field *[]string) {
	list(p, "policy_identifiers", field)
	if len(*field) == 0 || !strings.HasPrefix((*field)[0], "[") {
		return
	}
	if entries, ok := splitPolicies(p.String("policy_identifiers")); ok {
		*field = entries
	}
}

// check refuses what no role may be, and fills in the sizes that follow from
// the key type.
func (r *Role) check() (err error) {
	if err := r.checkLists(); err != nil {
		return err
	}
	if r.KeyBits, err = CheckKey(r.KeyType, r.KeyBits); err != nil {
		return err
	}
	if r.SignatureBits, err = CheckSignatureBits(r.KeyType, r.SignatureBits); err != nil {
		return err
	}
	if r.NotBeforeDuration > maxBackdate {
		return refuse("not_before_duration: %s is more than ten years", r.NotBeforeDuration.Duration())
	}
	if r.MaxTTL > 0 && r.TTL > r.MaxTTL {
		return refuse(`"ttl" value must be less than "max_ttl" value`)
	}
	if r.NotAfter != "" {
		if _, err := time.Parse(time.RFC3339, r.NotAfter); err != nil {
			return refuse("not_after: %s", err)
		}
	}
	if r.SerialNumberSource != serialFromEither && r.SerialNumberSource != serialFromJSON {
		return refuse("unknown serial_number_source %q: it is %q or %q", r.SerialNumberSource, serialFromEither, serialFromJSON)
	}
	if r.CNValidations, err = checkCNValidations(r.CNValidations); err != nil {
		return err
	}
	if _, err := extKeyUsageOIDs(r.ExtKeyUsageOIDs); err != nil {
		return err
	}
	if _, err := parsePolicies(r.PolicyIdentifiers); err != nil {
		return err
	}
	if !allowsAllOtherNames(r.AllowedOtherSANs) {
		if _, err := parseOtherNames(r.AllowedOtherSANs); err != nil {
			return refuse("error parsing allowed_other_sans: %s", err)
		}
	}
	return r.checkLint()
}

func (r *Role) checkLint() (err error) {
	if err := lint.CheckMode(r.Lint); err != nil {
		return refuse("lint: %s", err)
	}
	if err := lint.CheckWaive(r.LintWaive); err != nil {
		return refuse("lint_waive: %s", err)
	}
	if r.LintSources, err = lint.CheckSources(r.LintSources); err != nil {
		return refuse("lint_sources: %s", err)
	}
	return nil
}

// checkCNValidations returns the list in lower case; an empty one is the
// default.
func checkCNValidations(validations []string) ([]string, error) {
	if len(validations) == 0 {
		return []string{cnEmail, cnHostname}, nil
	}
	var out []string
	for _, v := range validations {
		v = strings.ToLower(v)
		switch {
		case v != cnEmail && v != cnHostname && v != cnDisabled:
			return nil, refuse("cn_validations value incorrect: unknown type: `%s`", v)
		case slices.Contains(out, v):
			return nil, refuse("cn_validations value incorrect: multiple `%s` entries", v)
		}
		out = append(out, v)
	}
	if len(out) > 1 && slices.Contains(out, cnDisabled) {
		return nil, refuse("cn_validations value incorrect: cannot specify `disabled` along with `email` or `hostname`")
	}
	return out, nil
}

// maxBackdate is how far back a certificate's beginning may be set.
const maxBackdate = Seconds(10 * 366 * 24 * 3600)

// warnings tell the role's writer what will not do what it seems to. They look
// at what was written, before check fills in what follows from it.
func (r *Role) warnings() []string {
	var w []string
	if r.GenerateLease {
		w = append(w, "generate_lease is stored, but leases are not issued: certificates are revoked by serial number")
	}
	if r.GenerateLease && r.NoStore {
		w = append(w, "mutually exclusive values no_store=true and generate_lease=true were both specified; no_store=true takes priority")
	}
	w = append(w, r.unknownUsages()...)
	if usage, _ := keyUsageBits(r.KeyUsage); usage&caUsages != 0 {
		w = append(w, "key_usage has CertSign or CRLSign, which only CA certificates may have: requests under this role will be refused")
	}
	if r.KeyType == KeyAny && r.KeyBits != 0 || r.KeyType == KeyEd25519 && r.KeyBits != 0 {
		w = append(w, "key_bits means nothing with key_type "+r.KeyType+" and was not kept")
	}
	if (r.KeyType == KeyAny || r.KeyType == KeyEd25519 || r.KeyType == KeyMLDSA) && r.SignatureBits != 0 {
		w = append(w, "signature_bits means nothing with key_type "+r.KeyType+" and was not kept")
	}
	if len(r.AllowedDomains) > 0 && !r.AllowBareDomains && !r.AllowSubdomains && !r.AllowGlobDomains && !r.AllowAnyName {
		w = append(w, "allowed_domains allows nothing without allow_bare_domains, allow_subdomains or allow_glob_domains")
	}
	return append(w, r.templateWarnings()...)
}
