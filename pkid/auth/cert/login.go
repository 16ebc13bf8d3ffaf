package cert

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/identity"
	"github.com/hsmpki/hsmpki/pkid/token"
)

// Refusal is why a login, or a renewal, was refused. It is for the log: to the
// caller all are alike.
type Refusal struct{ Reason string }

func (r *Refusal) Error() string { return r.Reason }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// Login gives the token that whoever showed these certificates, his own first,
// gets by a role, or without a name by the first that is his.
func (m *Method) Login(ctx context.Context, name string, shown []*x509.Certificate, from netip.Addr) (token.Spec, error) {
	role, err := m.find(ctx, name, shown, from)
	if err != nil {
		return token.Spec{}, err
	}
	spec := role.Token.Spec()
	spec.DisplayName = role.DisplayName
	spec.Meta = marks(shown[0])
	spec.Meta["cert_name"] = role.Name
	for _, oid := range role.AllowedMetadataExtensions {
		if text, ok := extensionText(shown[0], oid, false); ok {
			spec.Meta[strings.ReplaceAll(oid, ".", "-")] = text
		}
	}
	spec.Alias = &identity.Alias{Name: shown[0].Subject.CommonName, Metadata: spec.Meta}
	return spec, nil
}

// Renew refuses to renew a token unless its role is still there and gives the
// same, and lets in the certificate that is shown, which is the one that the
// token was made for.
func (m *Method) Renew(ctx context.Context, t *token.Token, shown []*x509.Certificate, from netip.Addr) error {
	config, err := m.Config(ctx)
	if err != nil {
		return err
	}
	name := t.Meta["cert_name"]
	role, err := m.Role(ctx, name)
	switch {
	case err != nil:
		return err
	case role == nil:
		return refuse("role %s is gone", name)
	case !slices.Equal(token.SortPolicies(role.Token.Policies, !role.Token.NoDefaultPolicy), t.Policies):
		return refuse("role %s: its policies have changed", name)
	case config.DisableBinding:
		return nil
	}
	if _, err := m.find(ctx, name, shown, from); err != nil {
		return err
	}
	for field, value := range marks(shown[0]) {
		if t.Meta[field] != value {
			return refuse("role %s: another certificate is shown than the token was made for", name)
		}
	}
	return nil
}

// marks tell certificates apart, in a token's metadata.
func marks(c *x509.Certificate) map[string]string {
	return map[string]string{
		"common_name": c.Subject.CommonName, "serial_number": c.SerialNumber.String(),
		"subject_key_id": colons(c.SubjectKeyId), "authority_key_id": colons(c.AuthorityKeyId),
	}
}

// colons writes octets as 01:ab:ff.
func colons(id []byte) string { return strings.ReplaceAll(fmt.Sprintf("% x", id), " ", ":") }

// find gives the role that lets in whoever showed these.
func (m *Method) find(ctx context.Context, name string, shown []*x509.Certificate, from netip.Addr) (*Role, error) {
	if len(shown) == 0 {
		return nil, refuse("no certificate is shown")
	}
	roles, err := m.candidates(ctx, name)
	if err != nil {
		return nil, err
	}
	var reasons []error
	for _, role := range roles {
		err := m.admit(ctx, role, shown, from)
		if err == nil {
			return role, nil
		}
		if _, is := errors.AsType[*Refusal](err); !is {
			return nil, err
		}
		reasons = append(reasons, err)
	}
	if len(reasons) == 0 {
		return nil, refuse("there is no such role")
	}
	return nil, &Refusal{errors.Join(reasons...).Error()}
}

func (m *Method) candidates(ctx context.Context, name string) ([]*Role, error) {
	if name == "" {
		return m.all(ctx)
	}
	role, err := m.Role(ctx, name)
	if role == nil {
		return nil, err
	}
	return []*Role{role}, nil
}

// admit decides about a login by one role.
func (m *Method) admit(ctx context.Context, role *Role, shown []*x509.Certificate, from netip.Addr) error {
	chains, err := m.verify(role, shown)
	if err != nil {
		return err
	}
	if field := role.allows(shown[0]); field != "" {
		return refuse("role %s: the certificate is not as %s asks for", role.Name, field)
	}
	if !role.Token.From(from) {
		return refuse("role %s: the address is not in token_bound_cidrs", role.Name)
	}
	for _, chain := range chains {
		revoked, err := m.revoked(ctx, chain)
		if err != nil {
			return err
		}
		if !revoked {
			return nil
		}
	}
	return refuse("role %s: the certificate, or one above it, is revoked", role.Name)
}

// verify gives the chains from the client's certificate to one that the role
// trusts. It has to be for TLS clients, and all have to be valid now. A
// certificate that is no CA is trusted for itself alone.
func (m *Method) verify(role *Role, shown []*x509.Certificate) ([][]*x509.Certificate, error) {
	trusted, err := role.trusted()
	if err != nil {
		return nil, err
	}
	now := m.Now()
	roots, above := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range trusted {
		switch {
		case c.IsCA:
			roots.AddCert(c)
		case !bytes.Equal(c.Raw, shown[0].Raw):
		case now.Before(c.NotBefore) || now.After(c.NotAfter):
			return nil, refuse("role %s: the certificate has expired or is not yet valid", role.Name)
		case forClients(c):
			return [][]*x509.Certificate{{c}}, nil
		}
	}
	for _, c := range shown[1:] {
		above.AddCert(c)
	}
	chains, err := shown[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: above, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, refuse("role %s: %v", role.Name, err)
	}
	return chains, nil
}
