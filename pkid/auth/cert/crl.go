package cert

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// maxCRL bounds a CRL, in octets of DER.
const maxCRL = 16 << 20

// crl is a CRL that was given, as far as it is needed.
type crl struct {
	issuer     string          // the DER of the name
	name       string          // the same for people
	nextUpdate time.Time       // which is told, and does not make what is revoked valid again
	serials    map[string]bool // in decimal
}

// removeFromCRL is the reason of an entry of a delta CRL that is none any more
// (RFC 5280, section 5.3.1).
const removeFromCRL = 8

func parseCRL(der []byte) (*crl, error) {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, vaultapi.BadRequest("failed to parse CRL: %v", err)
	}
	c := &crl{issuer: string(list.RawIssuer), name: list.Issuer.String(), nextUpdate: list.NextUpdate, serials: map[string]bool{}}
	for _, e := range list.RevokedCertificateEntries {
		if e.ReasonCode != removeFromCRL {
			c.serials[e.SerialNumber.String()] = true
		}
	}
	return c, nil
}

// WriteCRL keeps a CRL, in PEM or in DER.
func (m *Method) WriteCRL(ctx context.Context, name string, p *vaultapi.Params) error {
	if p.Has("url") {
		return vaultapi.BadRequest("url: CRLs are not fetched; give them as crl, each time that there is a new one")
	}
	text := p.String("crl")
	if err := p.Err(); err != nil {
		return err
	}
	if text == "" {
		return vaultapi.BadRequest("one of 'crl' or 'url' must be provided")
	}
	der := []byte(text)
	if block, rest := pem.Decode(der); block != nil {
		if block.Type != "X509 CRL" || strings.TrimSpace(string(rest)) != "" {
			return vaultapi.BadRequest("failed to parse CRL: it is not one CRL in PEM")
		}
		der = block.Bytes
	}
	if len(der) > maxCRL {
		return vaultapi.BadRequest("the CRL is longer than %d octets", maxCRL)
	}
	c, err := parseCRL(der)
	if err != nil {
		return err
	}
	return m.changeCRLs(ctx, func(all map[string]*crl) { all[name] = c }, func(tx store.Tx) error { return tx.Put(m.Space.CRL(name), der) })
}

// DeleteCRL forgets a CRL.
func (m *Method) DeleteCRL(ctx context.Context, name string) error {
	return m.changeCRLs(ctx, func(all map[string]*crl) { delete(all, name) }, func(tx store.Tx) error { return tx.Delete(m.Space.CRL(name)) })
}

// changeCRLs changes what is stored, and then what logins go by.
func (m *Method) changeCRLs(ctx context.Context, change func(map[string]*crl), write func(store.Tx) error) error {
	if _, err := m.lists(ctx); err != nil {
		return err
	}
	m.reading.Lock()
	defer m.reading.Unlock()
	if err := m.Store.Update(ctx, write); err != nil {
		return err
	}
	next := maps.Clone(m.crls)
	change(next)
	m.crls = next
	return nil
}

// lists gives the CRLs, which are read once. They are not to be changed.
func (m *Method) lists(ctx context.Context) (map[string]*crl, error) {
	m.reading.RLock()
	all := m.crls
	m.reading.RUnlock()
	if all != nil {
		return all, nil
	}
	m.reading.Lock()
	defer m.reading.Unlock()
	if m.crls != nil {
		return m.crls, nil
	}
	start, end := m.Space.CRLs()
	err := m.Store.View(ctx, func(r store.Reader) error {
		all = map[string]*crl{}
		return r.Scan(start, end, func(key, der []byte) error {
			c, err := parseCRL(der)
			all[string(key[len(start):])] = c
			return err
		})
	})
	if err == nil {
		m.crls = all
	}
	return all, err
}

// CRLs lists the names of the CRLs.
func (m *Method) CRLs(ctx context.Context) ([]string, error) {
	all, err := m.lists(ctx)
	return slices.Sorted(maps.Keys(all)), err
}

// ShowCRL is the answer to reading a CRL, nil if there is none.
func (m *Method) ShowCRL(ctx context.Context, name string) (map[string]any, error) {
	all, err := m.lists(ctx)
	c := all[name]
	if c == nil {
		return nil, err
	}
	serials := make(map[string]any, len(c.serials))
	for serial := range c.serials {
		serials[serial] = map[string]any{}
	}
	return map[string]any{"serials": serials, "issuer": c.name, "next_update": c.nextUpdate.Format(time.RFC3339)}, nil
}

// revoked reports whether one of the certificates is on a CRL that was given, or
// is revoked by one of pkid's own CAs. What certifies the last is not known.
func (m *Method) revoked(ctx context.Context, chain []*x509.Certificate) (bool, error) {
	all, err := m.lists(ctx)
	if err != nil {
		return false, err
	}
	for i, c := range chain {
		for _, list := range all {
			if list.issuer == string(c.RawIssuer) && list.serials[c.SerialNumber.String()] {
				return true, nil
			}
		}
		var issuer *x509.Certificate
		if i+1 < len(chain) {
			issuer = chain[i+1]
		}
		if is, err := m.Revoked(ctx, c, issuer); is || err != nil {
			return is, err
		}
	}
	return false, nil
}
