package api

import (
	"strings"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// format is how an answer writes certificates and keys (vault-api.md 4.3).
type format struct {
	kind        string // "pem", "der" or "pem_bundle"
	pkcs8       bool
	removeRoots bool
}

func readFormat(p *vaultapi.Params) (format, error) {
	f := format{kind: p.String("format"), removeRoots: p.Bool("remove_roots_from_chain", false)}
	form := p.String("private_key_format")
	if f.kind == "" {
		f.kind = "pem"
	}
	if f.kind != "pem" && f.kind != "der" && f.kind != "pem_bundle" {
		return f, vaultapi.BadRequest(`the "format" path parameter must be "pem", "der", or "pem_bundle"`)
	}
	switch form {
	case "", "der", "pem":
	case "pkcs8":
		f.pkcs8 = true
	default:
		return f, vaultapi.BadRequest(`the "private_key_format" parameter must be "der", "pem" or "pkcs8", not %q`, form)
	}
	return f, p.Err()
}

// certificate writes one certificate.
func (f format) certificate(der []byte, pem string) string {
	if f.kind == "der" {
		return base64Of(der)
	}
	return pem
}

// issued writes the fields of a new certificate, its chain, and its key if it
// was made here.
func (f format) issued(out *ca.Issued) (map[string]any, error) {
	leaf := f.certificate(out.DER, ca.PEM("CERTIFICATE", out.DER))
	chain := f.chain(out.Issuer)
	data := map[string]any{
		"certificate":   leaf,
		"issuing_ca":    f.certificate(out.Issuer.DER, out.Issuer.PEM),
		"ca_chain":      chain,
		"serial_number": out.Serial,
		"expiration":    out.Certificate.NotAfter.Unix(),
	}
	bundle := []string{leaf}
	if out.Key != nil {
		kind, pemType, der, err := ca.EncodeKey(out.Key, f.pkcs8)
		if err != nil {
			return nil, err
		}
		data["private_key_type"] = kind
		data["private_key"] = f.certificate(der, ca.PEM(pemType, der))
		if f.pkcs8 && f.kind == "pem_bundle" {
			// The bundle has the traditional form, whatever is asked for.
			if _, pemType, der, err = ca.EncodeKey(out.Key, false); err != nil {
				return nil, err
			}
		}
		bundle = []string{ca.PEM(pemType, der), leaf}
	}
	if f.kind == "pem_bundle" {
		data["certificate"] = strings.Join(append(bundle, chain...), "\n")
	}
	return data, nil
}

// chain writes the issuer and what is above it, without roots where they are
// not wanted.
func (f format) chain(i *ca.Issuer) []string {
	chain := []string{}
	for n, der := range i.Chain {
		if f.removeRoots && i.IsRoot(n) {
			continue
		}
		chain = append(chain, f.certificate(der, i.ChainPEM[n]))
	}
	return chain
}
