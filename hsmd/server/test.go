package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"

	"github.com/hsmpki/hsmpki/hsmd/auditlog"
	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/wire"
)

// testLabel stands in every message that Test signs, after the shape of TLS 1.3
// (RFC 8446, section 4.4.3): 64 spaces, a label, NUL, random octets. No DER
// begins with a space, so such a signature is of no other use.
const testLabel = "hsmd test signature"

// Test signs a message that hsmd makes. It does not make a key that is missing.
func (c *session) Test(ctx context.Context, req *wire.TestRequest) (*wire.TestResponse, error) {
	defer c.srv.begin().end()
	k, err := c.key(grant.Test, req.Key)
	if err != nil {
		return nil, err
	}
	if !k.Signs() {
		return nil, wire.Errorf(wire.Denied, "managed key %q is not for signing (usages)", k.Name())
	}
	public, err := c.srv.public(ctx, k)
	if err != nil {
		return nil, err
	}
	scheme := req.Scheme
	if scheme == 0 {
		scheme = public.Schemes[0]
	}
	if !public.Allows(scheme) {
		return nil, wire.Errorf(wire.Invalid, "managed key %q does not sign with %s", k.Name(), scheme)
	}
	message := testMessage()
	signed := message
	if hash := scheme.Hash(); hash != 0 {
		signed = digest(hash, message)
	}
	asked := &wire.SignRequest{SPKI: public.ID[:], Scheme: scheme, Message: message, Context: req.Context}
	if err := c.srv.counted(k, public, false); err != nil {
		return nil, err
	}
	record, err := c.record(k, asked, &auditlog.Entry{Kind: auditlog.Test, SHA256: sha256.Sum256(message)})
	if err != nil {
		return nil, err
	}
	signature, err := c.srv.sign(ctx, k, public, asked, signed)
	if err = record.ends(ctx, signature, err); err != nil {
		return nil, err
	}
	c.srv.log.Info("tested", "key", k.Name(), "uid", c.peer.UID, "scheme", scheme.String(), "context", shorten(req.Context))
	return &wire.TestResponse{Scheme: scheme, Message: message, Signature: signature}, nil
}

func testMessage() []byte {
	message := append(bytes.Repeat([]byte{' '}, 64), testLabel+"\x00"...)
	random := make([]byte, 32)
	rand.Read(random) // never fails
	return append(message, random...)
}
