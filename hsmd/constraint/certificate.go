package constraint

import (
	"bytes"
	"slices"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/tbs"
)

// certificate holds a certificate against the rules for certificates. One that
// only lets hsmd's own responder answer is exempt from them.
func (s *Set) certificate(m *tbs.Summary, f Facts, exempt bool) error {
	if exempt {
		return nil
	}
	for _, rule := range []func(*tbs.Summary, Facts) error{s.authority, s.validity, s.subjectKey, s.purposes, s.extras, s.subjectNames} {
		if err := rule(m, f); err != nil {
			return err
		}
	}
	return nil
}

// authority is about ca and max_path_length.
func (s *Set) authority(m *tbs.Summary, _ Facts) error {
	if s.rules.CA == nil {
		return nil
	}
	why := actsAsCA(m)
	switch {
	case why == "":
	case !*s.rules.CA:
		return s.refuse("ca", "the certificate has %s", why)
	case !m.IsCA:
		return s.refuse("ca", "the certificate has %s, and is no CA certificate by its basicConstraints", why)
	case s.rules.MaxPathLength == nil:
	case m.MaxPathLen < 0:
		return s.refuse("max_path_length", "the CA certificate has no path length")
	case m.MaxPathLen > *s.rules.MaxPathLength:
		return s.refuse("max_path_length", "the CA certificate's is %d", m.MaxPathLen)
	}
	return nil
}

// actsAsCA says by what somebody may take a certificate for a CA's, "" for
// nothing. OpenSSL takes one without basicConstraints for it by its keyUsage, or
// by Netscape's type.
func actsAsCA(m *tbs.Summary) string {
	const keyCertSign, cRLSign, anyNetscapeCA = 0x04, 0x02, 0x07
	if m.IsCA {
		return "cA in its basicConstraints"
	}
	for _, e := range m.Extensions {
		switch string(e.ID) {
		case idKeyUsage:
			if bits, _ := bitString(e.Value); bits&keyCertSign != 0 {
				return "keyCertSign in its keyUsage"
			} else if bits&cRLSign != 0 {
				return "cRLSign in its keyUsage"
			}
		case idNetscapeType:
			if bits, ok := bitString(e.Value); !ok || bits&anyNetscapeCA != 0 {
				return "a CA's bit in its netscape-cert-type"
			}
		}
	}
	return ""
}

func (s *Set) validity(m *tbs.Summary, f Facts) error {
	if err := s.ends("max_ttl", s.rules.MaxTTL, "notAfter", m, f); err != nil {
		return err
	}
	if limit := s.rules.MaxBackdate.Std(); limit > 0 && m.NotBefore.Before(f.Now.Add(-limit-f.Waited-grace)) {
		return s.refuse("max_backdate", "notBefore is %s", m.NotBefore.Format(time.RFC3339))
	}
	return nil
}

// subjectKey is about public_key_types.
func (s *Set) subjectKey(m *tbs.Summary, _ Facts) error {
	if len(s.rules.PublicKeyTypes) == 0 {
		return nil
	}
	kind, err := keyType(m.SPKI)
	switch {
	case err != nil:
		return s.refuse("public_key_types", "the subject's public key %v", err)
	case !slices.Contains(s.rules.PublicKeyTypes, kind):
		return s.refuse("public_key_types", "the subject's public key is %s", kind)
	}
	return nil
}

// purposes is about extended_key_usages. Without the extension a certificate is
// good for anything: that is usual for a CA, and refused for all others.
func (s *Set) purposes(m *tbs.Summary, _ Facts) error {
	value, ok := extension(m, idUsages)
	if !ok {
		if s.usages.set() && !m.IsCA {
			return s.refuse("extended_key_usages", "the certificate has none, and would be good for any")
		}
		return nil
	}
	for _, u := range sequenceOfOIDs(value) {
		switch {
		case s.usages.set() && !s.usages.has(u):
			return s.refuse("extended_key_usages", "the certificate has %s", dotted(u))
		case !s.usages.set() && string(u) == idOCSPSigning && !s.Signs("ocsp"):
			return s.refuse("sign", "the certificate would let another key sign OCSP responses")
		}
	}
	return nil
}

// ruled are the extensions that other rules are about.
var ruled = map[string]bool{idSubjectKeyID: true, idKeyUsage: true, idSubjectAltName: true, idBasic: true, idAuthorityKeyID: true, idUsages: true}

// extras is about permitted_extensions and permitted_policies.
func (s *Set) extras(m *tbs.Summary, _ Facts) error {
	for _, e := range m.Extensions {
		id := string(e.ID)
		if s.extensions.set() && !ruled[id] && !s.extensions.has(e.ID) && !(id == idPolicies && s.policies.set()) {
			return s.refuse("permitted_extensions", "the certificate has %s", dotted(e.ID))
		}
		if id != idPolicies || !s.policies.set() {
			continue
		}
		for _, p := range policies(e.Value) {
			if !s.policies.has(p) {
				return s.refuse("permitted_policies", "the certificate has %s", dotted(p))
			}
		}
	}
	return nil
}

// respondsOnly reports whether a certificate lets its holder sign OCSP responses
// for a short while, and nothing else.
func respondsOnly(m *tbs.Summary, now time.Time) bool {
	const alone = "\x30\x0a\x06\x08" + idOCSPSigning
	value, _ := extension(m, idUsages)
	_, named := extension(m, idSubjectAltName)
	return m.Kind == tbs.Certificate && bytes.Equal(value, []byte(alone)) && !named && actsAsCA(m) == "" &&
		!m.NotAfter.After(now.Add(responderLife+grace))
}

func extension(m *tbs.Summary, id string) ([]byte, bool) {
	for _, e := range m.Extensions {
		if string(e.ID) == id {
			return e.Value, true
		}
	}
	return nil, false
}
