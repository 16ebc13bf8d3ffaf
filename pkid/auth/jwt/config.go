package jwt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// Config says whose tokens count: auth/<path>/config, as it is stored.
type Config struct {
	// One of these four is set.
	JWKSURL           string   `json:"jwks_url,omitempty"`
	OIDCDiscoveryURL  string   `json:"oidc_discovery_url,omitempty"`
	ValidationPubkeys []string `json:"jwt_validation_pubkeys,omitempty"`
	JWKS              string   `json:"jwks,omitempty"` // the set itself; ours, not Vault's

	JWKSCAPEM          string `json:"jwks_ca_pem,omitempty"` // whom to trust at JWKSURL; "": the system's
	OIDCDiscoveryCAPEM string `json:"oidc_discovery_ca_pem,omitempty"`

	// KubernetesHost is the cluster's, to be shown; JWKSURL is below it, unless
	// there are keys in ValidationPubkeys.
	KubernetesHost string `json:"kubernetes_host,omitempty"`

	BoundIssuer   string   `json:"bound_issuer,omitempty"`
	SupportedAlgs []string `json:"jwt_supported_algs,omitempty"` // none: Algorithms
	DefaultRole   string   `json:"default_role,omitempty"`
}

// ConfigFromParams reads a whole configuration; a write replaces the old one.
func ConfigFromParams(p *vaultapi.Params) (*Config, error) {
	c := &Config{
		JWKSURL: p.String("jwks_url"), JWKSCAPEM: p.String("jwks_ca_pem"), JWKS: p.String("jwks"),
		OIDCDiscoveryURL: p.String("oidc_discovery_url"), OIDCDiscoveryCAPEM: p.String("oidc_discovery_ca_pem"),
		ValidationPubkeys: p.StringList("jwt_validation_pubkeys"), BoundIssuer: p.String("bound_issuer"),
		SupportedAlgs: p.StringList("jwt_supported_algs"), DefaultRole: strings.ToLower(p.String("default_role")),
	}
	for _, browser := range []string{"oidc_client_id", "oidc_client_secret", "oidc_response_mode", "oidc_response_types"} {
		if len(p.StringList(browser)) > 0 {
			return nil, vaultapi.BadRequest("%s: logging in with a browser is not offered; roles are of type jwt", browser)
		}
	}
	if len(p.Objects("jwks_pairs")) > 0 {
		return nil, vaultapi.BadRequest("jwks_pairs: one JWKS URL is taken; mount the method once for each")
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	return c, c.check()
}

// Show is the answer to reading it.
func (c *Config) Show() map[string]any {
	return map[string]any{
		"jwks_url": c.JWKSURL, "jwks_ca_pem": c.JWKSCAPEM, "jwks": c.JWKS, "jwks_pairs": []any{},
		"oidc_discovery_url": c.OIDCDiscoveryURL, "oidc_discovery_ca_pem": c.OIDCDiscoveryCAPEM, "oidc_client_id": "",
		"jwt_validation_pubkeys": append([]string{}, c.ValidationPubkeys...), "jwt_supported_algs": append([]string{}, c.SupportedAlgs...),
		"bound_issuer": c.BoundIssuer, "default_role": c.DefaultRole,
	}
}

func (c *Config) check() error {
	set := 0
	for _, given := range []bool{c.JWKSURL != "", c.OIDCDiscoveryURL != "", len(c.ValidationPubkeys) > 0, c.JWKS != ""} {
		if given {
			set++
		}
	}
	if set != 1 {
		return vaultapi.BadRequest("exactly one of 'jwt_validation_pubkeys', 'jwks_url', 'jwks' or 'oidc_discovery_url' must be set")
	}
	for _, name := range c.SupportedAlgs {
		if !slices.Contains(Algorithms, name) {
			return vaultapi.BadRequest("jwt_supported_algs: %q is none of %s", name, strings.Join(Algorithms, ", "))
		}
	}
	if _, err := c.keySource(slog.New(slog.DiscardHandler), time.Now); err != nil {
		return vaultapi.BadRequest("%v", err)
	}
	return nil
}

// keySource finds the keys that the configuration has or names.
func (c *Config) keySource(log *slog.Logger, now func() time.Time) (keySource, error) {
	switch {
	case len(c.ValidationPubkeys) > 0:
		var keys fixedKeys
		for i, text := range c.ValidationPubkeys {
			key, err := parsePublicKey(text)
			if err != nil {
				return nil, fmt.Errorf("jwt_validation_pubkeys: number %d: %w", i+1, err)
			}
			keys = append(keys, jose.JSONWebKey{Key: key})
		}
		return keys, nil
	case c.JWKS != "":
		keys, err := parseKeySet([]byte(c.JWKS))
		if err != nil {
			return nil, fmt.Errorf("jwks: %w", err)
		}
		return fixedKeys(keys), nil
	case c.JWKSURL != "":
		if err := checkURL(c.JWKSURL); err != nil {
			return nil, fmt.Errorf("jwks_url: %w", err)
		}
		return newFetchedKeys(c.JWKSURL, "", c.JWKSCAPEM, log, now)
	}
	if err := checkURL(c.OIDCDiscoveryURL); err != nil {
		return nil, fmt.Errorf("oidc_discovery_url: %w", err)
	}
	return newFetchedKeys("", c.discovered(), c.OIDCDiscoveryCAPEM, log, now)
}

// discovered is the issuer that says itself where its keys are, "" if none is
// asked; with a slash at the end it is the same one.
func (c *Config) discovered() string { return strings.TrimRight(c.OIDCDiscoveryURL, "/") }

// checkURL lets nobody read or replace the keys on their way.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("it is no URL of the form https://host/path")
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && !(u.Scheme == "http" && local) {
		return fmt.Errorf("%s is taken from the loopback address only; use https", shorten(u.Scheme))
	}
	return nil
}

// parsePublicKey reads a PEM block, of a key or of a certificate, of which the
// key alone counts.
func parsePublicKey(text string) (any, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("it is not one PEM block")
	}
	var key any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = cert.PublicKey
		}
	default:
		return nil, fmt.Errorf("a PEM block %q is no public key", shorten(block.Type))
	}
	if err != nil {
		return nil, err
	}
	return key, checkKey(key)
}

// checkKey takes the keys for which there is an algorithm.
func checkKey(key any) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 || key.N.BitLen() > 8192 {
			return fmt.Errorf("an RSA key has 2048 to 8192 bits, not %d", key.N.BitLen())
		}
		return nil
	case *ecdsa.PublicKey:
		if curveAlgorithm[key.Curve] != "" {
			return nil
		}
	case ed25519.PublicKey:
		return nil
	}
	return errors.New("it is no key of RSA, P-256, P-384, P-521 or Ed25519")
}

// curveAlgorithm has the one algorithm of each curve (RFC 7518, section 3.4).
var curveAlgorithm = map[elliptic.Curve]string{elliptic.P256(): "ES256", elliptic.P384(): "ES384", elliptic.P521(): "ES512"}

// fits reports whether the key is for that algorithm, by what it is and by what
// its owner says of it.
func fits(key *jose.JSONWebKey, algorithm string) bool {
	if key.Algorithm != "" && key.Algorithm != algorithm || key.Use != "" && key.Use != "sig" {
		return false
	}
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PublicKey:
		return curveAlgorithm[k.Curve] == algorithm
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}
