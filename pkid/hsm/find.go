package hsm

import (
	"context"

	"github.com/hsmpki/hsmpki/wire"
)

// LastCRLNumber gives the number of the last CRL that hsmd has signed under a
// Name, given in DER, 0 if there is none. Any key that may be used will do.
func (c *Client) LastCRLNumber(ctx context.Context, key string, name []byte) (uint64, error) {
	response, err := c.Describe(ctx, &wire.DescribeRequest{Key: key, Issuer: name})
	if err != nil {
		return 0, err
	}
	if len(response.Keys) != 1 {
		return 0, wire.Errorf(wire.UnknownKey, "no managed key %q", key)
	}
	return response.Keys[0].CRLNumber, nil
}

// FindOrMake looks a managed key up in its token, and has it made, under the id,
// where it is missing and its definition allows that. use goes to hsmd's log.
func (c *Client) FindOrMake(ctx context.Context, name, id, use string) (*wire.KeyInfo, error) {
	response, err := c.Describe(ctx, &wire.DescribeRequest{Key: name, Find: true})
	if err != nil {
		return nil, err
	}
	if len(response.Keys) != 1 {
		return nil, wire.Errorf(wire.UnknownKey, "no managed key %q", name)
	}
	found := &response.Keys[0]
	if found.Fault == nil || found.Fault.Code != wire.UnknownKey || !found.Definition.AllowGenerateKey {
		return found, found.Fault.Err()
	}
	made, err := c.Generate(ctx, &wire.GenerateRequest{Key: name, ID: id, Context: use})
	if err != nil {
		return nil, err
	}
	return &made.Key, made.Key.Fault.Err()
}
