package ca

import (
	"context"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/store"
)

// CSRRequest is what a caller of intermediate/generate/:type and
// intermediate/cross-sign says.
type CSRRequest struct {
	Key  KeyRequest
	Wish *role.CSRWish
}

// CSR is a certification request for a CA of this mount.
type CSR struct {
	DER      []byte
	Key      *Key
	Warnings []string
}

// GenerateCSR makes a certification request for a key of this mount, for another
// CA to sign. The certificate comes back by Import.
func (a *Authority) GenerateCSR(ctx context.Context, req *CSRRequest) (*CSR, error) {
	template, warnings, err := req.Wish.Request()
	if err != nil {
		return nil, err
	}
	key, more, err := a.requestedKey(ctx, &req.Key)
	if err != nil {
		return nil, err
	}
	out := &CSR{Warnings: append(warnings, more...)}
	signer, err := a.signer(ctx, key, a.cfg.UUID+" "+req.Key.RequestID)
	if err != nil {
		return nil, err
	}
	if out.DER, err = issuance.CreateCSR(template, signer); err != nil {
		return nil, err
	}
	err = a.change(ctx, func(v *view, tx store.Tx) error {
		out.Key, err = a.addKey(v, tx, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
