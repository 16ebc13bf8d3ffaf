package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/config"
	"github.com/hsmpki/hsmpki/hsmd/constraint"
	"github.com/hsmpki/hsmpki/hsmd/server"
)

// block is one constraints block, and whose it is.
type block struct {
	name string // the key's, "" for that of wire_keys
	*config.Constraint
}

func (b *block) subject() string {
	if b.name == "" {
		return "constraints of wire_keys"
	}
	return fmt.Sprintf("constraints of managed_key %q", b.name)
}

func constraintBlocks(cfg *config.HSMD) (all []block) {
	for _, k := range cfg.ManagedKeys {
		if k.Constraints != nil {
			all = append(all, block{k.Name, k.Constraints})
		}
	}
	if w := cfg.WireKeys; w != nil && w.Constraints != nil {
		all = append(all, block{"", w.Constraints})
	}
	return all
}

// constraintsOf reads the constraints blocks and the files that they name. Its
// error joins all faults.
func constraintsOf(cfg *config.HSMD) (*server.Constraints, error) {
	out := &server.Constraints{Keys: map[string]*constraint.Set{}}
	var faults []error
	for _, b := range constraintBlocks(cfg) {
		set, err := newSet(&b)
		if err != nil {
			faults = append(faults, err)
		} else if b.name == "" {
			out.Wire = set
		} else {
			out.Keys[b.name] = set
		}
	}
	return out, errors.Join(faults...)
}

func newSet(b *block) (*constraint.Set, error) {
	issuers, err := b.issuers()
	if err != nil {
		return nil, b.Place.Errorf("issuer", "issuer: %v", err)
	}
	name := b.name
	if name == "" {
		name = "wire_keys"
	}
	return constraint.New(name, b.Constraint, issuers)
}

// issuers reads the files of issuer.
func (b *block) issuers() (all []*x509.Certificate, err error) {
	for _, reference := range b.Issuer {
		certs, err := readCertificates(strings.TrimPrefix(reference, "file:"))
		if err != nil {
			return nil, err
		}
		all = append(all, certs...)
	}
	return all, nil
}

// readCertificates reads a file of certificates in PEM.
func readCertificates(path string) (all []*x509.Certificate, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for {
		part, rest := pem.Decode(text)
		if part == nil && (len(all) == 0 || len(bytes.TrimSpace(text)) > 0) {
			return nil, fmt.Errorf("%s: is not PEM with certificates", path)
		}
		if part == nil {
			return all, nil
		}
		text = rest
		if part.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s: has %q, and not only certificates", path, part.Type)
		}
		cert, err := x509.ParseCertificate(part.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, cert)
	}
}

// constraintRules are what keys may sign, in words. The files were read a moment
// ago, when the state was built.
func constraintRules(cfg *config.HSMD) (rules []config.Rule) {
	for _, b := range constraintBlocks(cfg) {
		var files [][]byte
		issuers, _ := b.issuers()
		for _, cert := range issuers {
			files = append(files, cert.Raw)
		}
		rules = append(rules, config.Rule{Subject: b.subject(), Text: constraint.Words(b.Constraint), Hidden: config.Hide(files)})
	}
	return rules
}

// constraintWarnings are of blocks that leave open what they seem to close.
func constraintWarnings(cfg *config.HSMD) (all []string) {
	for _, b := range constraintBlocks(cfg) {
		warn := func(format string, args ...any) {
			all = append(all, fmt.Sprintf("%s: %s: ", b.Place, b.subject())+fmt.Sprintf(format, args...))
		}
		certificates := len(b.Sign) == 0 || slices.Contains(b.Sign, "certificate")
		ca := b.CA == nil || *b.CA
		named := !b.Permitted.Empty() || !b.Excluded.Empty() || len(b.PermittedOtherNames) > 0
		ruled := named || len(b.PublicKeyTypes)+len(b.ExtendedKeyUsages)+len(b.PermittedExtensions)+len(b.PermittedPolicies) > 0
		switch {
		case !certificates && (ruled || b.CA != nil || b.MaxTTL+b.MaxBackdate > 0 || b.MaxPerDay > 0):
			warn("has rules for certificates, which it does not let be signed at all")
		case !certificates:
		case b.CA == nil && ruled:
			warn("ca is not set: a CA certificate can be had, and what that CA signs is bound by no rule here")
		case ca && named:
			warn("with ca = true the names in CA certificates are judged, and not those that such a CA signs: its own nameConstraints would have to do that")
		}
		if certificates && b.CA != nil && *b.CA && b.MaxPathLength == nil {
			warn("ca = true without max_path_length: a chain of CAs of any length can be had")
		}
		if certificates && b.MaxTTL == 0 {
			warn("max_ttl is not set: a certificate can be had that never ends")
		}
		if len(b.Sign) > 0 && !slices.Contains(b.Sign, "crl") && b.MaxCRLValidity > 0 {
			warn("max_crl_validity does nothing: CRLs are not signed")
		}
		if len(b.Sign) > 0 && !slices.Contains(b.Sign, "ocsp") && b.MaxOCSPValidity > 0 {
			warn("max_ocsp_validity does nothing: OCSP responses are not signed")
		}
		if certificates && b.MaxOCSPValidity > 0 && len(b.ExtendedKeyUsages) == 0 {
			warn("max_ocsp_validity without extended_key_usages: any key can be certified as an OCSP responder's, and is bound by no rule here")
		}
		if slices.Contains(b.ExtendedKeyUsages, "ocsp_signing") {
			warn("extended_key_usages has ocsp_signing: any key can be certified as an OCSP responder's; hsmd's own responders do not need it")
		}
		if slices.Contains(b.PermittedOtherNames, "1.3.6.1.5.5.7.8.9") {
			warn("permitted_other_names has SmtpUTF8Mailbox: the e-mail addresses in it are not judged")
		}
	}
	return all
}
