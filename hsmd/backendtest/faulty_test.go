package backendtest_test

import (
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/backendtest"
	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// The numbers of PKCS#11 that the tests here use.
const (
	ckoPublicKey = 2

	ckaAlwaysAuthenticate  = 0x202
	ckaAllowedMechanisms   = 0x40000600
	ckaPublicKeyInfo       = 0x129
	ckaExtractable         = 0x162
	ckaNeverExtractable    = 0x164
	ckfPINFinalTry         = 0x20000
	ckfProtectedAuthPath   = 0x100
	ckrMechanismInvalid    = 0x70
	ckrPINExpired          = 0xA3
	ckrDomainParamsInvalid = 0x130
)

// faulty is a library with a token that goes wrong as it is told.
type faulty struct {
	*faultmodule.Module
	*softhsm.Token
	service wire.Service
	config  *wire.WorkerConfig
}

func newFaulty(t *testing.T, faults ...faultmodule.Fault) *faulty {
	t.Helper()
	token := softhsm.New(t)
	module := faultmodule.New(t, token.Library)
	module.Set(t, faults...)
	return &faulty{Module: module, Token: token, config: worker(module.Library),
		service: child(t, append(token.Env(), module.EnvList()...)...)}
}

// define configures a key; edit changes its definition.
func (f *faulty) define(t *testing.T, d wire.Definition, edit func(*wire.PKCS11Definition)) {
	t.Helper()
	own := *d.PKCS11
	d.PKCS11 = &own
	if edit != nil {
		edit(d.PKCS11)
	}
	if _, err := f.service.Configure(t.Context(), &wire.ConfigureRequest{Definition: d, Worker: f.config}); err != nil {
		t.Fatal(err)
	}
}

// key is a P-256 definition for a key that is there.
func (f *faulty) key(name string) wire.Definition {
	d := p256(f.Token, name, f.PIN)
	d.AllowGenerateKey = false
	return d
}

// rsa is an RSA definition for a key of 2048 bits that is there.
func (f *faulty) rsa(name string, mechanism uint64) wire.Definition {
	d := f.key(name)
	d.PKCS11.Mechanism, d.PKCS11.Curve = mechanism, ""
	return d
}

// look is what a Describe that asks the token says.
func (f *faulty) look(t *testing.T, name string) (wire.KeyInfo, error) {
	t.Helper()
	answer, err := f.service.Describe(t.Context(), &wire.DescribeRequest{Key: name, Find: true})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Keys[0], answer.Keys[0].Fault.Err()
}

// sign signs with a scheme as hsmd asks a worker: a digest, or the message where
// the token hashes; whole or, in parts of the protocol, as long as it is.
func (f *faulty) sign(t *testing.T, info *wire.KeyInfo, scheme wire.SignatureScheme, message []byte) error {
	t.Helper()
	id := sha256.Sum256(info.PublicKey)
	req := &wire.SignRequest{Key: info.Definition.Name, SPKI: id[:], Scheme: scheme}
	if scheme.Hash() == 0 || slices.Contains(info.Hashed, scheme) {
		req.Message = message
	} else {
		req.Digest = backendtest.Hashed(scheme, message)
	}
	answer, err := f.service.Sign(t.Context(), req)
	if err != nil {
		return err
	}
	return backendtest.Verify(info.PublicKey, scheme, message, answer.Signature)
}

// signReader has a message signed that is read as it goes.
func (f *faulty) signReader(t *testing.T, info *wire.KeyInfo, scheme wire.SignatureScheme, message io.Reader) error {
	t.Helper()
	id := sha256.Sum256(info.PublicKey)
	_, err := f.service.Sign(t.Context(), &wire.SignRequest{Key: info.Definition.Name, SPKI: id[:], Scheme: scheme, Parts: message})
	return err
}

// breaking is a message that breaks off.
type breaking struct{ left int }

func (b *breaking) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("it broke off")
	}
	b.left -= len(p)
	return len(p), nil
}

// works finds a key and has it sign, and gives what was found.
func (f *faulty) works(t *testing.T, name string) wire.KeyInfo {
	t.Helper()
	info, err := f.look(t, name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := f.sign(t, &info, info.Schemes[0], []byte("a message of "+name)); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return info
}

// wants is [wants], where a test has a library that goes wrong.
func (f *faulty) wants(t *testing.T, err error, code wire.Code, words ...string) {
	t.Helper()
	wants(t, err, code, words...)
}
