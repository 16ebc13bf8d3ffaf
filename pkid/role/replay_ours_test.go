package role_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// observedAt is when the answers were taken down.
var observedAt = time.Date(2026, 11, 23, 23, 37, 30, 0, time.UTC)

const observedMaxTTL = 87600 * time.Hour

func writeRole(in map[string]any) string {
	if _, _, err := role.FromParams(vaultapi.NewParams(maps.Clone(in))); err != nil {
		return refusal(err)
	}
	return "200"
}

func refusal(err error) string {
	var refused *role.Refusal
	var converted *vaultapi.Error
	if errors.As(err, &refused) || errors.As(err, &converted) {
		return outcome(400, []string{err.Error()})
	}
	return outcome(500, []string{err.Error()})
}

// readRole answers a role that was written, stored and read.
func readRole(t *testing.T, in map[string]any) string {
	t.Helper()
	r, _, err := role.FromParams(vaultapi.NewParams(maps.Clone(in)))
	if err != nil {
		return refusal(err)
	}
	stored, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if r, err = role.Decode(stored); err != nil {
		t.Fatal(err)
	}
	data, err := r.Response()
	if err != nil {
		t.Fatal(err)
	}
	return answer(data)
}

// answer writes a role's fields in order, without those that only one of the
// two servers has.
func answer(data map[string]any) string {
	data = maps.Clone(data)
	for _, name := range []string{
		"not_before", "not_before_bound", "not_after_bound", "allow_globs_in_identity_templates", "allowed_ip_sans_cidr",
		"serial_number_source", "no_store_metadata", "lint", "lint_waive", "lint_sources",
	} {
		delete(data, name)
	}
	text, _ := json.Marshal(data)
	return string(text)
}

// issue replays issue/:role, and with a CSR sign/:role. The order of what pkid/api
// does before is that of its handlers: parameters, role, format.
func issue(t *testing.T, l line, csr *role.CSR) string {
	t.Helper()
	p := vaultapi.NewParams(maps.Clone(l.In))
	wish := role.ReadWish(p)
	if err := p.Err(); err != nil {
		return refusal(err)
	}
	r, _, err := role.FromParams(vaultapi.NewParams(maps.Clone(l.Role)))
	if err != nil {
		return "400 " // an unknown role
	}
	if l.In["format"] == "bogus" {
		return `400 the "format" path parameter must be "pem", "der", or "pem_bundle"`
	}
	var public crypto.PublicKey
	if csr == nil {
		kind, bits, err := r.LeafKey(wish)
		if err != nil {
			return refusal(err)
		}
		public = leafKeys()[fmt.Sprint(kind, bits)].Public()
	}
	req, _, err := r.Request(wish, csr, &role.Terms{
		Now: observedAt, DefaultTTL: 768 * time.Hour, MaxTTL: observedMaxTTL, Issuer: observedIssuer(t).Certificate(),
	})
	if err != nil {
		return refusal(err)
	}
	if public != nil {
		req.PublicKey = public
	}
	prepared, err := observedIssuer(t).Prepare(req, observedAt)
	if err != nil {
		return refusal(err)
	}
	_, cert, err := observedIssuer(t).Issue(prepared, rootKey.(crypto.MessageSigner))
	if err != nil {
		t.Fatal(err)
	}
	return describe(cert, l.In["not_after"] != nil || l.Role["not_after"] != nil).String()
}

var (
	_, edKey, _ = ed25519.GenerateKey(rand.Reader)
	// rootKey is the CA's; Ed25519 keys of the standard library are no
	// crypto.MessageSigner.
	rootKey crypto.Signer = messageSigner{edKey}
)

// messageSigner signs messages with a key in memory.
type messageSigner struct{ ed25519.PrivateKey }

func (s messageSigner) SignMessage(_ io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.Sign(rand.Reader, msg, opts)
}

var observedIssuer = func() func(t testing.TB) *issuance.Issuer {
	var once sync.Once
	var issuer *issuance.Issuer
	return func(t testing.TB) *issuance.Issuer {
		t.Helper()
		once.Do(func() {
			prepared, err := issuance.PrepareRoot(&issuance.CARequest{
				Names: issuance.Names{Subject: pkix.Name{CommonName: "root"}}, PublicKey: rootKey.Public(), MaxPathLength: -1,
				NotBefore: observedAt.Add(-time.Hour), NotAfter: observedAt.Add(observedMaxTTL - time.Minute),
			}, observedAt)
			if err != nil {
				t.Fatal(err)
			}
			_, cert, err := issuance.IssueRoot(prepared, rootKey.(crypto.MessageSigner))
			if err != nil {
				t.Fatal(err)
			}
			if issuer, err = issuance.NewIssuer(cert, issuance.URLs{}); err != nil {
				t.Fatal(err)
			}
		})
		return issuer
	}
}()

// leafKeys are the keys of certificates, one of each kind.
var leafKeys = sync.OnceValue(func() map[string]crypto.Signer {
	keys := map[string]crypto.Signer{}
	for bits, curve := range map[int]elliptic.Curve{224: elliptic.P224(), 256: elliptic.P256(), 384: elliptic.P384(), 521: elliptic.P521()} {
		keys[fmt.Sprint("ec", bits)], _ = ecdsa.GenerateKey(curve, rand.Reader)
	}
	for _, bits := range []int{2048, 3072} {
		keys[fmt.Sprint("rsa", bits)], _ = rsa.GenerateKey(rand.Reader, bits)
	}
	_, keys["ed255190"], _ = ed25519.GenerateKey(rand.Reader)
	return keys
})

var keyUsageNames = []string{"digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"}

var attributeNames = map[string]string{
	"2.5.4.3": "commonName", "2.5.4.5": "serialNumber", "2.5.4.6": "countryName", "2.5.4.7": "localityName", "2.5.4.8": "stateOrProvinceName",
	"2.5.4.9": "streetAddress", "2.5.4.10": "organizationName", "2.5.4.11": "organizationalUnitName", "2.5.4.17": "postalCode",
	"0.9.2342.19200300.100.1.1": "userID",
}

// describe says of our certificate what was taken down of the server's.
func describe(c *x509.Certificate, absolute bool) *got {
	var g got
	g.Back = int((observedAt.Sub(c.NotBefore).Seconds()+10)/20) * 20
	g.Life = int(c.NotAfter.Sub(observedAt).Round(time.Minute).Minutes())
	if absolute {
		g.Life = c.NotAfter.Format("2006-01-02T15:04:05-07:00")
	}
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		g.Public = fmt.Sprint("RSAPublicKey-", key.N.BitLen())
	case *ecdsa.PublicKey:
		g.Public = fmt.Sprint("ECPublicKey-", key.Curve.Params().BitSize)
	case ed25519.PublicKey:
		g.Public = "Ed25519PublicKey-"
	}
	for _, a := range c.Subject.Names {
		g.Subject = append(g.Subject, [2]string{attributeNames[a.Type.String()], a.Value.(string)})
	}
	for i, name := range keyUsageNames {
		if c.KeyUsage&(1<<i) != 0 {
			g.Ext.KU = append(g.Ext.KU, name)
		}
	}
	g.Ext.EKU = extendedKeyUsages(c)
	if c.BasicConstraintsValid {
		g.Ext.BC = []any{c.IsCA, nil}
	}
	for _, p := range c.Policies {
		g.Ext.Policies = append(g.Ext.Policies, p.String())
	}
	g.Ext.SAN = alternativeNames(c)
	return &g
}

// String writes what is compared, lists in order.
func (g *got) String() string {
	subject := make([]string, 0, len(g.Subject))
	for _, a := range g.Subject {
		subject = append(subject, a[0]+"="+a[1])
	}
	list := func(s []string) string { s = slices.Clone(s); slices.Sort(s); return strings.Join(s, ",") }
	return fmt.Sprintf("200 %s life=%v back=%d %s ku=%s eku=%s bc=%v policies=%s san=%s", list(subject), g.Life, g.Back, g.Public,
		list(g.Ext.KU), list(g.Ext.EKU), g.Ext.BC, list(g.Ext.Policies), list(g.Ext.SAN))
}
