package config

// Constraint is one constraints block: it narrows what a key signs, and is
// enforced on the bytes to be signed. What is left out constrains nothing.
type Constraint struct {
	// Sign (sign) lists what may be signed: csr, certificate, crl, ocsp.
	Sign []string

	// CA (ca) says whether the key may sign CA certificates, and
	// MaxPathLength (max_path_length) bounds their path length. Nil: not
	// constrained.
	CA            *bool
	MaxPathLength *int

	// MaxTTL (max_ttl) is how far ahead of now a certificate's notAfter may be,
	// with 60 s of grace.
	MaxTTL Duration

	// MaxBackdate (max_backdate) is how far before now a certificate's notBefore
	// may be, with 60 s of grace. What people approve may have waited for them
	// besides: twice as long as its approval block's expires.
	MaxBackdate Duration

	// MaxCRLValidity (max_crl_validity) is how far ahead of now a CRL's
	// nextUpdate may be, MaxOCSPValidity (max_ocsp_validity) the same for OCSP
	// responses; both with 60 s of grace.
	MaxCRLValidity  Duration
	MaxOCSPValidity Duration

	// The names in certificates, as name constraints have them (RFC 5280,
	// section 4.2.1.10): permitted_dns_domains, permitted_ip_ranges (CIDR),
	// permitted_email_addresses, permitted_uri_domains,
	// permitted_directory_names (as RFC 4514 writes them: "O=Example,C=NL" is
	// the subtree below C=NL, O=Example), and the same with excluded_. Once one
	// permitted list is set, a kind of name without a list is refused. A domain
	// permits itself and what is below it, and with a dot before it only what is
	// below it; for hosts in e-mail addresses and URIs it permits exactly itself.
	Permitted Names
	Excluded  Names

	// PermittedOtherNames (permitted_other_names) lists the types, as OIDs, of
	// the other names that certificates may have. It is a permitted list too.
	PermittedOtherNames []string

	// PublicKeyTypes (public_key_types) lists the subject keys that are
	// certified: RSA-2048, RSA-3072, RSA-4096, P256, P384, P521, Ed25519,
	// ML-DSA-44, ML-DSA-65, ML-DSA-87.
	PublicKeyTypes []string

	// ExtendedKeyUsages (extended_key_usages) lists those that a certificate
	// may have: server_auth, client_auth, code_signing, email_protection,
	// time_stamping, ocsp_signing, or an OID.
	ExtendedKeyUsages []string

	// PermittedExtensions (permitted_extensions) lists the extensions, as OIDs,
	// that a certificate may have besides those that the other rules are about:
	// basicConstraints, keyUsage, extKeyUsage, subjectAltName,
	// subjectKeyIdentifier and authorityKeyIdentifier. One that hsmd does not
	// know may be critical only if it is listed.
	PermittedExtensions []string

	// PermittedPolicies (permitted_policies) lists the policies, as OIDs, that
	// a certificate may name. anyPolicy is 2.5.29.32.0.
	PermittedPolicies []string

	// Issuer (issuer) names files, "file:/path", with certificates of the CA.
	// Issuer and authority key identifier of certificates and CRLs must be the
	// subject and subject key identifier of one of them.
	Issuer []string

	// Rate (rate) is signatures a second, Burst (burst) how many may come at
	// once (default: rate). MaxPerDay (max_per_day) is certificates a day,
	// which begins at midnight UTC. 0: not bounded.
	Rate      int
	Burst     int
	MaxPerDay int

	// Hours (hours) is when certificates and CSRs are signed, each in the form
	// "Mon-Fri 08:00-18:00", in TimeZone (time_zone), by default UTC. What
	// revokes is signed at any time: CRLs, OCSP responses, and certificates of
	// hsmd's own OCSP responders.
	Hours    []string
	TimeZone string

	Place Place
}

// Names is one list for each kind of name.
type Names struct {
	DNSDomains     []string
	IPRanges       []string
	EmailAddresses []string
	URIDomains     []string
	DirectoryNames []string
}

// Empty reports whether no list has anything in it.
func (n *Names) Empty() bool {
	return len(n.DNSDomains)+len(n.IPRanges)+len(n.EmailAddresses)+len(n.URIDomains)+len(n.DirectoryNames) == 0
}

func readConstraint(b *block) *Constraint {
	c := &Constraint{TimeZone: "UTC"}
	b.list("sign", &c.Sign)
	b.optionalBoolean("ca", &c.CA)
	b.optionalWhole("max_path_length", &c.MaxPathLength, 0, 255)
	b.duration("max_ttl", &c.MaxTTL)
	b.duration("max_backdate", &c.MaxBackdate)
	b.duration("max_crl_validity", &c.MaxCRLValidity)
	b.duration("max_ocsp_validity", &c.MaxOCSPValidity)
	c.Permitted.fields(b, "permitted_")
	c.Excluded.fields(b, "excluded_")
	b.list("permitted_other_names", &c.PermittedOtherNames)
	b.list("public_key_types", &c.PublicKeyTypes)
	b.list("extended_key_usages", &c.ExtendedKeyUsages)
	b.list("permitted_extensions", &c.PermittedExtensions)
	b.list("permitted_policies", &c.PermittedPolicies)
	b.list("issuer", &c.Issuer)
	b.whole("rate", &c.Rate, 1, 1_000_000)
	b.whole("burst", &c.Burst, 1, 1_000_000)
	b.whole("max_per_day", &c.MaxPerDay, 1, 1_000_000_000)
	b.list("hours", &c.Hours)
	b.str("time_zone", &c.TimeZone)
	c.Place = b.read()
	return c
}

func (n *Names) fields(b *block, prefix string) {
	b.list(prefix+"dns_domains", &n.DNSDomains)
	b.list(prefix+"ip_ranges", &n.IPRanges)
	b.list(prefix+"email_addresses", &n.EmailAddresses)
	b.list(prefix+"uri_domains", &n.URIDomains)
	b.list(prefix+"directory_names", &n.DirectoryNames)
}
