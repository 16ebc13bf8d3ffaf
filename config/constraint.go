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

	// MaxBackdate (max_backdate) is how far before now notBefore may be.
	MaxBackdate Duration

	// MaxCRLValidity (max_crl_validity) is how far ahead of now a CRL's
	// nextUpdate may be.
	MaxCRLValidity Duration

	// The names in certificates, as name constraints have them (RFC 5280,
	// section 4.2.1.10): permitted_dns_domains, permitted_ip_ranges (CIDR),
	// permitted_email_addresses, permitted_uri_domains, and the same with
	// excluded_. Once one permitted list is set, a kind of name without a list
	// is refused.
	Permitted Names
	Excluded  Names

	// PublicKeyTypes (public_key_types) lists the subject keys that are
	// certified: RSA-2048, RSA-3072, RSA-4096, P256, P384, P521, Ed25519,
	// ML-DSA-44, ML-DSA-65, ML-DSA-87.
	PublicKeyTypes []string

	// ExtendedKeyUsages (extended_key_usages) lists those that a certificate
	// may have: server_auth, client_auth, code_signing, email_protection,
	// time_stamping, ocsp_signing, or an OID.
	ExtendedKeyUsages []string

	// Rate (rate) is signatures a second, Burst (burst) how many may come at
	// once. 0: not bounded.
	Rate  int
	Burst int

	Place Place
}

// Names is one list for each kind of name.
type Names struct {
	DNSDomains     []string
	IPRanges       []string
	EmailAddresses []string
	URIDomains     []string
}

func readConstraint(b *block) *Constraint {
	c := &Constraint{}
	b.list("sign", &c.Sign)
	b.optionalBoolean("ca", &c.CA)
	b.optionalWhole("max_path_length", &c.MaxPathLength, 0, 255)
	b.duration("max_ttl", &c.MaxTTL)
	b.duration("max_backdate", &c.MaxBackdate)
	b.duration("max_crl_validity", &c.MaxCRLValidity)
	c.Permitted.fields(b, "permitted_")
	c.Excluded.fields(b, "excluded_")
	b.list("public_key_types", &c.PublicKeyTypes)
	b.list("extended_key_usages", &c.ExtendedKeyUsages)
	b.whole("rate", &c.Rate, 1, 1_000_000)
	b.whole("burst", &c.Burst, 1, 1_000_000)
	c.Place = b.read()
	return c
}

func (n *Names) fields(b *block, prefix string) {
	b.list(prefix+"dns_domains", &n.DNSDomains)
	b.list(prefix+"ip_ranges", &n.IPRanges)
	b.list(prefix+"email_addresses", &n.EmailAddresses)
	b.list(prefix+"uri_domains", &n.URIDomains)
}
