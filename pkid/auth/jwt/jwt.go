// Package jwt is the login by a JSON Web Token (RFC 7519) that somebody else
// signed: Nomad, a CI system, a cluster. A [Config] says whose tokens count, a
// [Role] which of them, and what they get.
//
// [Verifier.Verify] says that a token is genuine, [Role.Admit] that it is one
// of the role's. Neither knows HTTP or the store. README.md has what is refused,
// and where this is stricter than Vault.
package jwt

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// maxToken bounds a token, before anything of it is decoded.
const maxToken = 32 << 10

// Algorithms are those that a token may be signed with: the asymmetric ones. A
// shared secret would let whoever can read the configuration make tokens, and
// "none" lets anybody.
var Algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// Verifier tells whether tokens are genuine, by one configuration. It is safe
// for concurrent use; what it fetched goes with it.
type Verifier struct {
	algorithms []jose.SignatureAlgorithm
	issuers    []string // none: whoever has the key
	keys       keySource
}

// keySource gives the keys that may have signed a token with that key id, ""
// if it has none.
type keySource interface {
	find(ctx context.Context, kid string) ([]jose.JSONWebKey, error)
}

// NewVerifier fetches nothing: that waits for the first token.
func NewVerifier(cfg *Config, log *slog.Logger, now func() time.Time) (*Verifier, error) {
	v := &Verifier{}
	switch {
	case cfg.BoundIssuer != "":
		v.issuers = []string{cfg.BoundIssuer}
	case cfg.OIDCDiscoveryURL != "":
		v.issuers = []string{cfg.discovered(), cfg.discovered() + "/"}
	}
	names := cfg.SupportedAlgs
	if len(names) == 0 {
		names = Algorithms
	}
	for _, name := range names {
		v.algorithms = append(v.algorithms, jose.SignatureAlgorithm(name))
	}
	var err error
	v.keys, err = cfg.keySource(log, now)
	return v, err
}

// Verify gives the claims of a token that one of the keys signed and the issuer
// made. It says nothing of the token's time or audience: that is [Role.Admit].
func (v *Verifier) Verify(ctx context.Context, token string) (Claims, error) {
	if len(token) > maxToken {
		return nil, fmt.Errorf("the token is longer than %d octets", maxToken)
	}
	kid, err := checkHeader(token)
	if err != nil {
		return nil, err
	}
	signed, err := jose.ParseSignedCompact(token, v.algorithms)
	if err != nil {
		return nil, fmt.Errorf("parsing the token: %w", err)
	}
	keys, err := v.keys.find(ctx, kid)
	if err != nil {
		return nil, err
	}
	payload, err := verifySignature(signed, keys)
	if err != nil {
		return nil, err
	}
	claims, err := parseClaims(payload)
	if err != nil {
		return nil, err
	}
	if issuer, _ := claims["iss"].(string); len(v.issuers) > 0 && !slices.Contains(v.issuers, issuer) {
		return nil, fmt.Errorf("iss is %q, not the bound issuer", shorten(issuer))
	}
	return claims, nil
}

// notInHeader are parameters that a signer may not set: with them a token would
// bring its own key, or be something else than claims that are signed.
var notInHeader = []string{"jwk", "jku", "x5u", "x5c", "crit", "b64", "enc", "zip"}

// checkHeader reads the header strictly and gives its key id.
func checkHeader(token string) (kid string, err error) {
	encoded, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return "", errors.New("the token's header is not base64url")
	}
	header, err := vaultapi.ParseJSON(raw)
	if err != nil {
		return "", fmt.Errorf("the token's header: %w", err)
	}
	for _, name := range notInHeader {
		if header.Present(name) {
			return "", fmt.Errorf("the token's header has %q", name)
		}
	}
	if contentType, _ := header.Values()["cty"].(string); strings.EqualFold(contentType, "JWT") {
		return "", errors.New("the token has another token in it")
	}
	kid, isText := header.Values()["kid"].(string)
	if header.Present("kid") && !isText {
		return "", errors.New("the token's kid is no text")
	}
	return kid, nil
}

// verifySignature tries the keys that fit the algorithm.
func verifySignature(signed *jose.JSONWebSignature, keys []jose.JSONWebKey) ([]byte, error) {
	algorithm := signed.Signatures[0].Header.Algorithm
	tried := 0
	for _, key := range keys {
		if !fits(&key, algorithm) {
			continue
		}
		tried++
		if payload, err := signed.Verify(key.Key); err == nil {
			return payload, nil
		}
	}
	if tried == 0 {
		return nil, fmt.Errorf("no known key fits the token's key id and algorithm %s", algorithm)
	}
	return nil, errors.New("no known key verifies the token's signature")
}

// Claims are what a token says. Numbers are json.Number.
type Claims map[string]any

func parseClaims(payload []byte) (Claims, error) {
	p, err := vaultapi.ParseJSON(payload) // which refuses a name that stands there twice, and deep nesting
	if err != nil {
		return nil, fmt.Errorf("the token's claims: %w", err)
	}
	return p.Values(), nil
}

// find gives a claim by its name, or by a JSON pointer (RFC 6901) if the name
// begins with a slash.
func (c Claims) find(name string) (any, bool) {
	if !strings.HasPrefix(name, "/") {
		value, ok := c[name]
		return value, ok && value != nil
	}
	var value any = map[string]any(c)
	for step := range strings.SplitSeq(name[1:], "/") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = object[pointerEscapes.Replace(step)]; !ok {
			return nil, false
		}
	}
	return value, value != nil
}

var pointerEscapes = strings.NewReplacer("~1", "/", "~0", "~")

// texts gives a claim that is one value or a list of them.
func texts(value any) []string {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	var out []string
	for _, e := range list {
		if s, ok := scalar(e); ok {
			out = append(out, s)
		}
	}
	return out
}

// shorten keeps a stranger's text from filling the log.
func shorten(s string) string {
	const most = 128
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
