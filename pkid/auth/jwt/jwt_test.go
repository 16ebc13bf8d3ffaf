package jwt_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/hsmpki/hsmpki/pkid/auth/jwt"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// signer is somebody whose tokens may count.
type signer struct {
	key crypto.Signer
	alg jose.SignatureAlgorithm
	kid string
}

var (
	rsaSigner   = signer{must(rsa.GenerateKey(rand.Reader, 2048)), jose.RS256, "rsa-1"}
	ecSigner    = signer{must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), jose.ES256, "ec-1"}
	p384Signer  = signer{must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)), jose.ES384, "ec-2"}
	edSigner    = signer{ed25519.NewKeyFromSeed(make([]byte, 32)), jose.EdDSA, "ed-1"}
	otherSigner = signer{must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), jose.ES256, "other"}
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// sign makes a token of claims as text, with more header parameters.
func (s signer) sign(t *testing.T, claims string, header ...string) string {
	t.Helper()
	options := &jose.SignerOptions{}
	if s.kid != "" {
		options.WithHeader("kid", s.kid)
	}
	for i := 0; i < len(header); i += 2 {
		options.WithHeader(jose.HeaderKey(header[i]), header[i+1])
	}
	js, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: s.key}, options)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := js.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (s signer) pem(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func keySet(t *testing.T, signers ...signer) string {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, s := range signers {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: s.key.Public(), KeyID: s.kid, Algorithm: string(s.alg), Use: "sig"})
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func configure(t *testing.T, params map[string]any) *jwt.Config {
	t.Helper()
	cfg, err := jwt.ConfigFromParams(vaultapi.NewParams(params))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func verifier(t *testing.T, cfg *jwt.Config, clock func() time.Time) *jwt.Verifier {
	t.Helper()
	v, err := jwt.NewVerifier(cfg, slog.New(slog.DiscardHandler), clock)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func standing() time.Time { return now }

// compact puts a token together by hand.
func compact(header, claims string, sign func(input string) []byte) string {
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	return input + "." + base64.RawURLEncoding.EncodeToString(sign(input))
}

// byEd25519 signs whatever header is given.
func byEd25519(input string) []byte {
	return ed25519.Sign(edSigner.key.(ed25519.PrivateKey), []byte(input))
}

func TestGenuine(t *testing.T) {
	const claims = `{"iss":"https://ci.example.com","sub":"build"}`
	pems := []any{rsaSigner.pem(t), ecSigner.pem(t), p384Signer.pem(t), edSigner.pem(t)}
	for name, cfg := range map[string]*jwt.Config{
		"PEM":  configure(t, map[string]any{"jwt_validation_pubkeys": pems, "bound_issuer": "https://ci.example.com"}),
		"JWKS": configure(t, map[string]any{"jwks": keySet(t, rsaSigner, ecSigner, p384Signer, edSigner)}),
	} {
		v := verifier(t, cfg, standing)
		for _, s := range []signer{rsaSigner, ecSigner, p384Signer, edSigner} {
			nameless := s
			nameless.kid = ""
			for _, token := range []string{s.sign(t, claims), nameless.sign(t, claims)} {
				got, err := v.Verify(t.Context(), token)
				if err != nil || got["sub"] != "build" {
					t.Errorf("%s, %s: %v, %v", name, s.alg, got, err)
				}
			}
		}
	}
}

// TestNotGenuine has the tokens that are none, each with what the log says.
func TestNotGenuine(t *testing.T) {
	const claims = `{"iss":"ci","sub":"build"}`
	v := verifier(t, configure(t, map[string]any{"jwks": keySet(t, rsaSigner, ecSigner, p384Signer, edSigner), "bound_issuer": "ci"}), standing)
	swapped := ecSigner
	swapped.kid = rsaSigner.kid
	foreign := otherSigner
	foreign.kid = ecSigner.kid
	ps := rsaSigner
	ps.alg = jose.PS256
	rsaPEM := rsaSigner.pem(t)
	hs256 := func(input string) []byte {
		mac := hmac.New(sha256.New, []byte(rsaPEM))
		mac.Write([]byte(input))
		return mac.Sum(nil)
	}
	genuine := edSigner.sign(t, claims)
	parts := strings.Split(genuine, ".")
	for name, c := range map[string]struct{ token, want string }{
		"empty":                              {"", "parsing the token"},
		"no token":                           {"hvs.abc", "header"},
		"alg none":                           {compact(`{"alg":"none"}`, claims, func(string) []byte { return nil }), "parsing the token"},
		"alg None":                           {compact(`{"alg":"None"}`, claims, func(string) []byte { return nil }), "parsing the token"},
		"no alg":                             {compact(`{"kid":"ed-1"}`, claims, byEd25519), "parsing the token"},
		"HS256 with the RSA key as secret":   {compact(`{"alg":"HS256","kid":"rsa-1"}`, claims, hs256), "parsing the token"},
		"HS256 without a key id":             {compact(`{"alg":"HS256"}`, claims, hs256), "parsing the token"},
		"a stranger's key under our key id":  {foreign.sign(t, claims), "no known key verifies"},
		"another of our keys' id":            {swapped.sign(t, claims), "no known key fits"},
		"unknown key id":                     {otherSigner.sign(t, claims), "no known key fits"},
		"another algorithm than the key's":   {ps.sign(t, claims), "no known key fits"},
		"EdDSA under the id of an RSA key":   {compact(`{"alg":"RS256","kid":"ed-1"}`, claims, byEd25519), "no known key fits"},
		"ES256 with a key of P-384":          {compact(`{"alg":"ES256","kid":"ec-2"}`, claims, byEd25519), "no known key fits"},
		"jwk":                                {compact(`{"alg":"EdDSA","kid":"ed-1","jwk":{"kty":"oct","k":"AA"}}`, claims, byEd25519), `"jwk"`},
		"jku":                                {edSigner.sign(t, claims, "jku", "https://evil.example/keys"), `"jku"`},
		"x5u":                                {edSigner.sign(t, claims, "x5u", "https://evil.example/cert"), `"x5u"`},
		"x5c":                                {edSigner.sign(t, claims, "x5c", "AA=="), `"x5c"`},
		"crit":                               {compact(`{"alg":"EdDSA","kid":"ed-1","crit":["b64"],"b64":false}`, claims, byEd25519), `"crit"`},
		"b64":                                {compact(`{"alg":"EdDSA","kid":"ed-1","b64":false}`, claims, byEd25519), `"b64"`},
		"a token in a token":                 {edSigner.sign(t, genuine, "cty", "JWT"), "another token in it"},
		"a token as claims":                  {edSigner.sign(t, genuine), "claims"},
		"encrypted":                          {genuine + ".AA.AA", "parsing the token"},
		"claims of another token":            {parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"ci","sub":"root"}`)) + "." + parts[2], "no known key verifies"},
		"signature cut off":                  {parts[0] + "." + parts[1] + ".", "no known key verifies"},
		"alg twice":                          {compact(`{"alg":"none","alg":"EdDSA","kid":"ed-1"}`, claims, byEd25519), "twice"},
		"sub twice":                          {edSigner.sign(t, `{"iss":"ci","sub":"build","sub":"root"}`), "twice"},
		"sub twice, once escaped":            {edSigner.sign(t, `{"iss":"ci","sub":"build","su\u0062":"root"}`), "twice"},
		"a nested claim twice":               {edSigner.sign(t, `{"iss":"ci","a":{"b":1,"b":2}}`), "twice"},
		"nested deeply":                      {edSigner.sign(t, `{"iss":"ci","a":`+strings.Repeat("[", 10000)+strings.Repeat("]", 10000)+`}`), "nested"},
		"no JSON":                            {edSigner.sign(t, `{"iss":`), "claims"},
		"two objects":                        {edSigner.sign(t, `{"iss":"ci"}{"iss":"ci"}`), "follows"},
		"too long":                           {edSigner.sign(t, `{"iss":"ci","a":"`+strings.Repeat("x", 32<<10)+`"}`), "longer than"},
		"another issuer":                     {edSigner.sign(t, `{"iss":"ci.evil"}`), "bound issuer"},
		"issuer with a slash":                {edSigner.sign(t, `{"iss":"ci/"}`), "bound issuer"},
		"no issuer":                          {edSigner.sign(t, `{"sub":"build"}`), "bound issuer"},
		"issuer in a list":                   {edSigner.sign(t, `{"iss":["ci"]}`), "bound issuer"},
		"key id that is no text":             {compact(`{"alg":"EdDSA","kid":7}`, claims, byEd25519), "kid"},
		"blanks in the header's base64":      {" " + genuine, "base64url"},
		"the JSON form":                      {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, "base64url"},
		"a signature in standard base64":     {parts[0] + "." + parts[1] + "." + parts[2] + "==", "parsing the token"},
		"an algorithm that was not spelt so": {compact(`{"alg":"eddsa","kid":"ed-1"}`, claims, byEd25519), "parsing the token"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := v.Verify(t.Context(), c.token); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v; want %q in the error", got, err, c.want)
			}
		})
	}
}

func TestOnlyTheAlgorithmsOfTheConfiguration(t *testing.T) {
	v := verifier(t, configure(t, map[string]any{
		"jwt_validation_pubkeys": []any{rsaSigner.pem(t), ecSigner.pem(t)}, "jwt_supported_algs": "RS512,ES256",
	}), standing)
	if _, err := v.Verify(t.Context(), rsaSigner.sign(t, `{}`)); err == nil {
		t.Error("RS256 was taken")
	}
	if _, err := v.Verify(t.Context(), ecSigner.sign(t, `{}`)); err != nil {
		t.Errorf("ES256: %v", err)
	}
}

func TestConfigRefused(t *testing.T) {
	small := signer{key: must(rsa.GenerateKey(rand.Reader, 1024)), kid: "small"}
	for name, c := range map[string]struct {
		params map[string]any
		want   string
	}{
		"nothing":              {map[string]any{}, "exactly one"},
		"two":                  {map[string]any{"jwks": keySet(t, ecSigner), "jwks_url": "https://a.example/"}, "exactly one"},
		"http":                 {map[string]any{"jwks_url": "http://a.example/keys"}, "use https"},
		"http to an address":   {map[string]any{"jwks_url": "http://10.0.0.1/keys"}, "use https"},
		"http to a lookalike":  {map[string]any{"jwks_url": "http://localhost.evil.example/"}, "use https"},
		"file":                 {map[string]any{"jwks_url": "file:///etc/passwd"}, "no URL"},
		"file with a host":     {map[string]any{"jwks_url": "file://localhost/etc/passwd"}, "use https"},
		"a password in it":     {map[string]any{"oidc_discovery_url": "https://me:secret@a.example/"}, "no URL"},
		"no CA":                {map[string]any{"jwks_url": "https://a.example/", "jwks_ca_pem": "x"}, "no PEM"},
		"HS256":                {map[string]any{"jwks": keySet(t, ecSigner), "jwt_supported_algs": "HS256"}, "HS256"},
		"none":                 {map[string]any{"jwks": keySet(t, ecSigner), "jwt_supported_algs": "none"}, `"none"`},
		"no PEM":               {map[string]any{"jwt_validation_pubkeys": "x"}, "number 1: it is not one PEM block"},
		"short RSA":            {map[string]any{"jwt_validation_pubkeys": small.pem(t)}, "2048"},
		"private key":          {map[string]any{"jwt_validation_pubkeys": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY"}))}, "no public key"},
		"only a secret":        {map[string]any{"jwks": `{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}`}, "no public key"},
		"no set":               {map[string]any{"jwks": `[]`}, "no JSON Web Key Set"},
		"a browser's login":    {map[string]any{"oidc_discovery_url": "https://a.example", "oidc_client_id": "me"}, "browser"},
		"several sets of keys": {map[string]any{"jwks_pairs": `[{"jwks_url":"https://a.example"}]`}, "jwks_pairs"},
	} {
		_, err := jwt.ConfigFromParams(vaultapi.NewParams(c.params))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret@") {
			t.Errorf("%s: the error has the password", name)
		}
	}
}

// FuzzVerify looks for a token that brings the parser down, or counts though it
// was changed.
func FuzzVerify(f *testing.F) {
	cfg, err := jwt.ConfigFromParams(vaultapi.NewParams(map[string]any{"jwks": fmt.Sprintf(
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":%q}]}`, base64.RawURLEncoding.EncodeToString(edSigner.key.Public().(ed25519.PublicKey)))}))
	if err != nil {
		f.Fatal(err)
	}
	v, err := jwt.NewVerifier(cfg, slog.New(slog.DiscardHandler), standing)
	if err != nil {
		f.Fatal(err)
	}
	genuine := compact(`{"alg":"EdDSA"}`, `{"sub":"build"}`, byEd25519)
	f.Add(genuine)
	f.Add(compact(`{"alg":"none"}`, `{}`, func(string) []byte { return nil }))
	f.Fuzz(func(t *testing.T, token string) {
		if claims, err := v.Verify(t.Context(), token); err == nil && token != genuine {
			t.Errorf("%q counts: %v", token, claims)
		}
	})
}
