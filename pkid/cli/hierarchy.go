package cli

import (
	"crypto/mldsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/client"
	"github.com/hsmpki/hsmpki/pkid/health"
)

// issuers reads a mount's issuers with their keys and CRLs, in order of their
// end.
func (s *session) issuers(mount string) ([]health.Issuer, error) {
	listed, err := s.get(mount+"/issuers", map[string][]string{"list": {"true"}})
	if isNothing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, explain("Error listing "+mount+"/issuers", err)
	}
	ids, _ := listed.Data["keys"].([]any)
	info, _ := listed.Data["key_info"].(map[string]any)
	var issuers []health.Issuer
	for _, id := range ids {
		i, err := s.issuer(mount, text(id))
		if err != nil {
			return nil, err
		}
		about, _ := info[text(id)].(map[string]any)
		i.Default = about["is_default"] == true
		issuers = append(issuers, *i)
	}
	slices.SortStableFunc(issuers, func(a, b health.Issuer) int { return a.Certificate.NotAfter.Compare(b.Certificate.NotAfter) })
	return issuers, nil
}

func (s *session) issuer(mount, id string) (*health.Issuer, error) {
	path := mount + "/issuer/" + id
	secret, err := s.get(path, nil)
	if err != nil {
		return nil, explain("Error reading "+path, err)
	}
	i := &health.Issuer{ID: id, Name: field(secret.Data, "issuer_name"), Usage: field(secret.Data, "usage")}
	block, _ := pem.Decode([]byte(field(secret.Data, "certificate")))
	if block == nil {
		return nil, fail("%s: the certificate is no PEM", path)
	}
	if i.Certificate, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, fail("%s: %v", path, err)
	}
	if key := field(secret.Data, "key_id"); key != "" {
		about, err := s.get(mount+"/key/"+key, nil)
		if err != nil {
			return nil, explain("Error reading "+mount+"/key/"+key, err)
		}
		i.ManagedKey = field(about.Data, "managed_key_name")
	}
	if i.CRL, err = s.crl(path + "/crl/der"); err != nil {
		i.CRLError = err.Error()
	} else if i.CRL == nil {
		i.CRLError = "there is none"
	}
	if i.Delta, err = s.crl(path + "/crl/delta/der"); err != nil {
		i.Delta = nil // off, as a rule
	}
	return i, nil
}

// crl reads a CRL in DER; nil where there is none.
func (s *session) crl(path string) (*x509.RevocationList, error) {
	answer, err := s.Do(s.ctx.Context, &client.Request{Method: http.MethodGet, Path: path})
	if err != nil || len(answer.Raw) == 0 {
		return nil, err
	}
	return x509.ParseRevocationList(answer.Raw)
}

func field(data map[string]any, name string) string {
	v, _ := data[name].(string)
	return v
}

// branch is an issuer and those that it has certified.
type branch struct {
	*health.Issuer
	below []*branch
}

// tree puts each issuer below one that has signed its certificate. Where that
// is not here, or it signed itself, it is a root of the tree; and so is, in a
// ring of cross-signed ones, the first.
func tree(issuers []health.Issuer) []*branch {
	all := make([]*branch, len(issuers))
	for n := range issuers {
		all[n] = &branch{Issuer: &issuers[n]}
	}
	above := map[*branch]*branch{}
	for _, b := range all {
		for _, parent := range all {
			if parent != b && b.Certificate.CheckSignatureFrom(parent.Certificate) == nil && b.Certificate.CheckSignatureFrom(b.Certificate) != nil && !isAbove(above, b, parent) {
				above[b] = parent
				parent.below = append(parent.below, b)
				break
			}
		}
	}
	return slices.DeleteFunc(all, func(b *branch) bool { return above[b] != nil })
}

// isAbove reports whether b is above other already.
func isAbove(above map[*branch]*branch, b, other *branch) bool {
	for p := other; p != nil; p = above[p] {
		if p == b {
			return true
		}
	}
	return false
}

// keyName names a public key's type.
func keyName(c *x509.Certificate) string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", c.PublicKey), "*")
	type sized interface{ Size() int }
	if k, ok := c.PublicKey.(sized); ok {
		return fmt.Sprintf("RSA-%d", 8*k.Size())
	}
	if k, ok := c.PublicKey.(*mldsa.PublicKey); ok {
		return k.Parameters().String()
	}
	for prefix, known := range map[string]string{"ecdsa": "ECDSA", "ed25519": "Ed25519"} {
		if strings.HasPrefix(name, prefix) {
			name = known
		}
	}
	return name
}
