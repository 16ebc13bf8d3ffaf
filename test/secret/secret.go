// Package secret knows the secrets that the tests of a process use, and finds them
// where they must not be: in what the programs log, and in what they keep.
//
// Secrets of a known shape (private keys, tokens) are found by it; others are
// made known by [Add] where a test makes or is given one: a token's PIN, a
// configuration, a request and its answer. Start at [Look].
package secret

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// shortest is how many octets a secret has at least that is looked for by itself.
const shortest = 8

// mostKeys bounds the private keys that are looked for one by one. All of them are
// looked for by their shape.
const mostKeys = 50

var known = struct {
	sync.RWMutex
	index
	keys int
}{index: newIndex()}

// Add makes a secret known, as it is and as hexadecimal and base64. One that is
// only a reference ("file:", "env:"), or shorter than 8 octets, is none.
func Add(what, value string) {
	if len(value) < shortest || strings.HasPrefix(value, "file:") || strings.HasPrefix(value, "env:") {
		return
	}
	known.Lock()
	defer known.Unlock()
	known.add(what, value)
	known.add(what+" in hexadecimal", hex.EncodeToString([]byte(value)))
	// The last octets of base64 depend on what follows.
	known.add(what+" in base64", base64.RawStdEncoding.EncodeToString([]byte(value[:len(value)/3*3])))
}

// AddKey makes a private key known that was given out as PEM or DER.
func AddKey(text []byte) {
	known.Lock()
	defer known.Unlock()
	if block, _ := pem.Decode(text); block != nil {
		text = block.Bytes
	}
	if known.keys++; known.keys > mostKeys {
		return
	}
	add := func(number *big.Int) {
		known.add("number of a private key", string(number.Bytes()))
		known.add("number of a private key in hexadecimal", hex.EncodeToString(number.Bytes()))
		known.add("number of a private key in decimal", number.String())
	}
	key, err := x509.ParsePKCS8PrivateKey(text)
	if err != nil {
		if key, err = x509.ParseECPrivateKey(text); err != nil {
			key, _ = x509.ParsePKCS1PrivateKey(text)
		}
	}
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		if raw, err := key.Bytes(); err == nil {
			add(new(big.Int).SetBytes(raw))
		}
	case *rsa.PrivateKey:
		if key != nil {
			add(key.Primes[0])
		}
	case ed25519.PrivateKey:
		add(new(big.Int).SetBytes(key.Seed()))
	}
}

// set is an attribute of a secret's in a configuration, as HCL has it.
var set = regexp.MustCompile(`(?m)\b(pin|secret_key|access_key|state_key)\s*=\s*"([^"]+)"`)

// AddConfig makes known what a configuration has of secrets.
func AddConfig(text string) {
	for _, found := range set.FindAllStringSubmatch(text, -1) {
		Add(found[1]+" of a configuration", found[2])
	}
}

// fields are those of requests and answers of the API that have secrets.
var fields = map[string]bool{"pin": true, "secret_key": true, "access_key": true, "secret_id": true, "client_token": true, "token": true, "jwt": true, "password": true}

// AddFields makes known what a request or an answer has of secrets: a value that
// JSON was decoded to, whatever is in it.
func AddFields(value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			text, is := inner.(string)
			switch {
			case is && fields[name]:
				Add(name, text)
			case is && name == "private_key":
				AddKey([]byte(text))
			default:
				AddFields(inner)
			}
		}
	case []any:
		for _, inner := range value {
			AddFields(inner)
		}
	}
}

// shapes begin every private key that is stored in the clear, and other secrets.
var shapes = map[string][]byte{
	"PEM of a private key":            []byte("PRIVATE KEY-----"),
	"PKCS#1 RSA key":                  unhex("0201000282"),
	"PKCS#8 RSA key":                  unhex("020100300d06092a864886f70d0101010500"),
	"PKCS#8 EC key (P-256)":           unhex("020100301306072a8648ce3d0201"),
	"PKCS#8 EC key (other)":           unhex("020100301006072a8648ce3d0201"),
	"PKCS#8 Ed25519 key":              unhex("020100300506032b6570"),
	"PKCS#8 ML-DSA key":               unhex("020100300b06096086480165030403"),
	"SEC 1 key (P-256)":               unhex("0201010420"),
	"SEC 1 key (P-384)":               unhex("0201010430"),
	"base64 of a PKCS#8 EC key":       []byte("AgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg"),
	"base64 of a PKCS#8 RSA key":      []byte("ADANBgkqhkiG9w0BAQEFAASC"),
	"base64 of a SEC 1 key (P-256)":   []byte("MHcCAQEEI"),
	"base64 of a SEC 1 key (P-384)":   []byte("MIGkAgEBBD"),
	"hexadecimal of a PKCS#8 EC key":  []byte("020100301306072a8648ce3d0201"),
	"hexadecimal of a PKCS#8 RSA key": []byte("020100300d06092a864886f70d0101010500"),
}

// tokenShape is a token of pkid's.
var tokenShape = regexp.MustCompile(`\bhv[sbr]\.[A-Za-z0-9_-]{20,}`)

// Find names the secrets that there are in content.
func Find(content []byte) (found []string) {
	for what, octets := range shapes {
		if bytes.Contains(content, octets) {
			found = append(found, what)
		}
	}
	for _, kind := range []string{"hvs.", "hvb.", "hvr."} {
		if bytes.Contains(content, []byte(kind)) && tokenShape.Match(content) {
			found = append(found, "token")
			break
		}
	}
	known.RLock()
	defer known.RUnlock()
	return append(found, known.find(content)...)
}

// Look fails the test for each secret in content, without showing it.
func Look(t testing.TB, where string, content []byte) {
	t.Helper()
	for _, what := range Find(content) {
		t.Errorf("%s has a secret: %s", where, what)
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}
