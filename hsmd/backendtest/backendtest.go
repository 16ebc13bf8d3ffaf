// Package backendtest says what every key backend must do, as tests that run
// against any [wire.Service]: a PKCS#11 library in this process, the same
// behind a worker, or hsmd itself.
//
// It knows nothing of how a backend works inside, and brings its own eyes:
// signatures are verified with the standard library alone. Start with [Run].
package backendtest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/wire"
)

// Backend is what the suite runs against: one token, empty at the start.
type Backend struct {
	Service wire.Service

	// Key selects the token and has its PIN; the suite fills in the key.
	Key wire.PKCS11Definition

	// KMS in place of Key selects AWS KMS and has its credentials. What is about
	// tokens is left out.
	KMS *wire.AWSKMSDefinition

	// Worker goes with each definition. Nil is hsmd itself, which is given
	// messages that it recognises and never digests.
	Worker *wire.WorkerConfig

	// Types are the key types that are made, P-256 or RSA of 2048 bits among
	// them; Lacks are those that the token cannot make.
	Types, Lacks []wire.KeyType

	// Tool runs pkcs11-tool on the token, logged in, for what the protocol
	// cannot do: twins, orphans, deletions. Nil leaves those cases out.
	Tool func(t testing.TB, args ...string) string

	// Again opens the token in another process, which is told nothing of the
	// first. Nil leaves those cases out.
	Again func(t *testing.T) wire.Service
}

// test is one of the suite.
type test struct {
	name string
	run  func(*testing.T, *Backend)
}

var everyBackend = []test{
	{"Case31_EveryTypeAndScheme", everyTypeAndScheme},
	{"Case32_ECDSAIsMinimalDER", ecdsaIsMinimalDER},
	{"Case25_ManyGenerateAtOnce", manyGenerateAtOnce},
	{"ManySignAtOnce", manySignAtOnce},
	{"Case30_RefusesRequests", refusesRequests},
	{"KeysOutliveTheProcess", keysOutliveTheProcess},
	{"Forgets", forgets},
}

var tokensAlone = []test{
	{"RefusesDefinitions", refusesDefinitions},
	{"RefusesAnotherPIN", refusesAnotherPIN},
	{"RefusesAWrongPIN", refusesAWrongPIN},
	{"ShowsTheToken", showsTheToken},
	{"Case23_Ambiguous", ambiguous},
	{"Case24_NeverOverAnOrphan", neverOverAnOrphan},
	{"Case24_NeverOverAnotherKey", neverOverAnotherKey},
	{"Case29_RefusesWhatTheTokenLacks", refusesWhatTheTokenLacks},
}

// Run runs the suite; open gives a backend with a fresh token, or KMS.
func Run(t *testing.T, open func(t *testing.T) *Backend) {
	for _, test := range slices.Concat(everyBackend, tokensAlone) {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// RunKMS runs what of the suite is not about tokens.
func RunKMS(t *testing.T, open func(t *testing.T) *Backend) {
	for _, test := range everyBackend {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// shapes are the definitions' words for each key type.
var shapes = map[wire.KeyType]struct {
	mechanisms []uint64
	bits       int
	curve      string
}{
	wire.KeyRSA2048: {[]uint64{0x1, 0xD}, 2048, ""},
	wire.KeyRSA3072: {[]uint64{0x1, 0xD}, 3072, ""},
	wire.KeyRSA4096: {[]uint64{0x1, 0xD}, 4096, ""},
	wire.KeyP256:    {[]uint64{0x1041}, 0, "P256"},
	wire.KeyP384:    {[]uint64{0x1041}, 0, "P384"},
	wire.KeyP521:    {[]uint64{0x1041}, 0, "P521"},
	wire.KeyEd25519: {[]uint64{0x1057}, 0, "Ed25519"},
	wire.KeyMLDSA44: {[]uint64{0x1D}, 44, ""},
	wire.KeyMLDSA65: {[]uint64{0x1D}, 65, ""},
	wire.KeyMLDSA87: {[]uint64{0x1D}, 87, ""},
}

// plain is the key type of tests that are not about types.
func (b *Backend) plain() wire.KeyType {
	if slices.Contains(b.Types, wire.KeyP256) {
		return wire.KeyP256
	}
	return wire.KeyRSA2048
}

// plainKey is a definition for a key of the plain type; plainScheme signs with
// it.
func (b *Backend) plainKey(name string) wire.Definition {
	return b.definition(name, b.plain(), shapes[b.plain()].mechanisms[0])
}

func (b *Backend) plainScheme() wire.SignatureScheme {
	return schemes(b.plain(), shapes[b.plain()].mechanisms[0])[0]
}

// toolType is the plain type as pkcs11-tool spells it.
func (b *Backend) toolType() string {
	if b.plain() == wire.KeyP256 {
		return "EC:prime256v1"
	}
	return "rsa:2048"
}

// definition is one that may generate, labelled as it is named.
func (b *Backend) definition(name string, kind wire.KeyType, mechanism uint64) wire.Definition {
	if b.KMS != nil {
		return b.kmsDefinition(name, kind)
	}
	p := b.Key
	p.KeyLabel, p.Mechanism, p.KeyBits, p.Curve = name, mechanism, shapes[kind].bits, shapes[kind].curve
	return wire.Definition{Type: "pkcs11", Name: name, AllowGenerateKey: true, AnyMount: true, PKCS11: &p}
}

// kmsDefinition is one behind an alias that is named as the key. KMS has one
// definition for all ways in which an RSA key signs.
func (b *Backend) kmsDefinition(name string, kind wire.KeyType) wire.Definition {
	p := *b.KMS
	p.KMSKey, p.KeyType = "alias/"+name, string(kind)
	switch shape := shapes[kind]; {
	case shape.mechanisms[0] == 0x1:
		p.KeyType, p.KeyBits = "RSA", shape.bits
	case shape.mechanisms[0] == 0x1041:
		p.KeyType, p.Curve = "ECDSA", shape.curve
	}
	return wire.Definition{Type: "awskms", Name: name, AllowGenerateKey: true, AnyMount: true, AWSKMS: &p}
}

func (b *Backend) configure(t *testing.T, d wire.Definition) {
	t.Helper()
	if _, err := b.Service.Configure(t.Context(), &wire.ConfigureRequest{Definition: d, Worker: b.Worker}); err != nil {
		t.Fatalf("configure %s: %v", d.Name, err)
	}
}

// find is what a Describe that asks the token says of one key.
func (b *Backend) find(t *testing.T, name string) wire.KeyInfo {
	t.Helper()
	answer, err := b.Service.Describe(t.Context(), &wire.DescribeRequest{Key: name, Find: true})
	if err != nil {
		t.Fatalf("describe %s: %v", name, err)
	}
	if len(answer.Keys) != 1 {
		t.Fatalf("describe %s: %d keys", name, len(answer.Keys))
	}
	info := answer.Keys[0]
	p, q := info.Definition.PKCS11, info.Definition.AWSKMS
	if p == nil && q == nil || p != nil && p.PIN != "" || q != nil && q.AccessKey+q.SecretKey != "" {
		t.Errorf("describe %s: the definition is missing or has its secrets in it", name)
	}
	return info
}

// made configures a definition and generates its key.
func (b *Backend) made(t *testing.T, d wire.Definition) *publicKey {
	t.Helper()
	b.configure(t, d)
	answer, err := b.Service.Generate(t.Context(), &wire.GenerateRequest{Key: d.Name, ID: "test-" + d.Name})
	if err != nil {
		t.Fatalf("generate %s: %v", d.Name, err)
	}
	if !answer.Created {
		t.Fatalf("generate %s: the key was there already", d.Name)
	}
	public := parse(t, answer.Key.PublicKey)
	public.hashed = answer.Key.Hashed
	return public
}

// wants checks a failure's code, that its text says something, and that the PIN
// is not in it.
func (b *Backend) wants(t *testing.T, what string, err error, code wire.Code, words ...string) {
	t.Helper()
	failure, ok := errors.AsType[*wire.Error](err)
	if !ok || failure.Code != code {
		t.Errorf("%s: got %v, want %v", what, err, code)
		return
	}
	for _, word := range words {
		if !strings.Contains(failure.Message, word) {
			t.Errorf("%s: %q does not say %q", what, failure.Message, word)
		}
	}
	secret := b.Key.PIN
	if b.KMS != nil {
		secret = b.KMS.SecretKey
	}
	if secret != "" && strings.Contains(failure.Message, secret) {
		t.Errorf("%s: the PIN or credential is in %q", what, failure.Message)
	}
}
