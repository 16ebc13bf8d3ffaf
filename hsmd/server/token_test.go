package server_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"io"
	"sync"

	"github.com/hsmpki/hsmpki/wire"
)

// token is the other side of the seam: a library with one token whose keys are
// in memory. It answers hsmd as a worker does, and does wrong on request.
type token struct {
	mu    sync.Mutex
	label string
	pin   string
	keys  map[string]crypto.Signer // by CKA_LABEL
	ids   map[string]string        // CKA_ID to CKA_LABEL

	told    map[string]*wire.ConfigureRequest // by handle
	refused []wire.Refusal
	calls   map[string]int

	flip  bool  // break each signature
	fault error // of each Describe and Sign
}

func newToken(label string) *token {
	return &token{label: label, pin: "pin-1234", keys: map[string]crypto.Signer{}, ids: map[string]string{},
		told: map[string]*wire.ConfigureRequest{}, calls: map[string]int{}}
}

func (t *token) count(what string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls[what]
}

// toldOf is what the worker was told of a name last; nil for nothing.
func (t *token) toldOf(name string) (last *wire.ConfigureRequest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.told {
		if c.Definition.Name == name && (last == nil || len(c.Worker.Handle) > len(last.Worker.Handle) || c.Worker.Handle > last.Worker.Handle) {
			last = c
		}
	}
	return last
}

// enter counts a call and finds the definition.
func (t *token) enter(call, key string) (*wire.PKCS11Definition, error) {
	t.calls[call]++
	if t.fault != nil && (call == "describe" || call == "sign") {
		return nil, t.fault
	}
	c := t.told[key]
	if c == nil {
		return nil, wire.Errorf(wire.Internal, "the worker was never told of %q", key)
	}
	p := c.Definition.PKCS11
	if p.PIN != t.pin {
		t.refused = append(t.refused, wire.Refusal{MAC: []byte(p.PIN), TokenSerial: "1", At: 1, FromWire: c.Worker.FromWire})
		return nil, wire.Errorf(wire.LoginRefused, "the token refused the PIN of %q", key)
	}
	return p, nil
}

func (t *token) find(p *wire.PKCS11Definition) crypto.Signer {
	label := p.KeyLabel
	if p.KeyID != "" {
		label = t.ids[p.KeyID]
	}
	return t.keys[label]
}

func describe(c *wire.ConfigureRequest, key crypto.Signer) wire.KeyInfo {
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	return wire.KeyInfo{Definition: c.Definition, PublicKey: spki}
}

func (t *token) Describe(_ context.Context, req *wire.DescribeRequest) (*wire.DescribeResponse, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.enter("describe", req.Key)
	if err != nil {
		return nil, err
	}
	key := t.find(p)
	if key == nil {
		return &wire.DescribeResponse{Keys: []wire.KeyInfo{{Fault: &wire.Fault{Code: wire.UnknownKey, Message: "no such key on the token"}}}}, nil
	}
	return &wire.DescribeResponse{Keys: []wire.KeyInfo{describe(t.told[req.Key], key)}}, nil
}

func (t *token) Generate(_ context.Context, req *wire.GenerateRequest) (*wire.GenerateResponse, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.enter("generate", req.Key)
	if err != nil {
		return nil, err
	}
	t.keys[p.KeyLabel] = newKey(p)
	return &wire.GenerateResponse{Key: describe(t.told[req.Key], t.keys[p.KeyLabel]), Created: true}, nil
}

func newKey(p *wire.PKCS11Definition) (key crypto.Signer) {
	var err error
	switch p.Curve {
	case "P256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "Ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, p.KeyBits)
	}
	if err != nil {
		panic(err)
	}
	return key
}

func (t *token) Sign(_ context.Context, req *wire.SignRequest) (*wire.SignResponse, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.enter("sign", req.Key)
	if err != nil {
		return nil, err
	}
	key := t.find(p)
	info := describe(t.told[req.Key], key)
	if id := sha256.Sum256(info.PublicKey); string(id[:]) != string(req.SPKI) {
		return nil, wire.Errorf(wire.KeyChanged, "the token has another key")
	}
	signed, opts := req.Digest, crypto.SignerOpts(req.Scheme.Hash())
	if req.Scheme.Hash() == 0 {
		signed = req.Message
	}
	switch req.Scheme {
	case wire.RSAPSSSHA256, wire.RSAPSSSHA384, wire.RSAPSSSHA512:
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: req.Scheme.Hash()}
	}
	signature, err := key.Sign(rand.Reader, signed, opts)
	if err != nil {
		return nil, wire.Errorf(wire.Internal, "%v", err)
	}
	if t.flip {
		signature[len(signature)-1] ^= 1
	}
	return &wire.SignResponse{Signature: signature}, nil
}

func (t *token) Test(context.Context, *wire.TestRequest) (*wire.TestResponse, error) {
	return nil, wire.Errorf(wire.Internal, "hsmd makes its test messages itself")
}

func (t *token) Configure(_ context.Context, req *wire.ConfigureRequest) (*wire.ConfigureResponse, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls["configure"]++
	t.told[req.Handle()] = req
	return &wire.ConfigureResponse{UUID: req.Definition.UUID}, nil
}

func (t *token) Forget(_ context.Context, req *wire.ForgetRequest) (*wire.ForgetResponse, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.told, req.Key)
	return &wire.ForgetResponse{}, nil
}

func (t *token) Status(context.Context, *wire.StatusRequest) (*wire.StatusResponse, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &wire.StatusResponse{Refused: t.refused, Libraries: []wire.LibraryStatus{{Name: "?", PID: 1,
		Tokens: []wire.TokenStatus{{Slot: 7, Label: t.label, Serial: "1"}, {Slot: 8, Label: "other", Serial: "2"}}}}}, nil
}

var _ wire.Service = (*token)(nil)

// slow gives a message in parts of three octets.
type slow struct{ rest []byte }

func (s *slow) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(3, len(p))], s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
