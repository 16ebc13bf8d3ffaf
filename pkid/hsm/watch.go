package hsm

import (
	"bytes"
	"context"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// watchInterval is how often the keys in use are asked for without a cause.
const watchInterval = time.Minute

// watch describes the keys that have signed on each new connection and each
// minute, so that the loss of one is in the log before a certificate is needed.
// It says what changed, once.
func (c *Client) watch(ctx context.Context) {
	defer close(c.ended)
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	trouble := map[string]string{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-c.wake:
		}
		c.used.Range(func(name, spki any) bool {
			now := c.look(ctx, name.(string), spki.([]byte))
			if ctx.Err() != nil {
				return false
			}
			switch before := trouble[name.(string)]; {
			case now != "" && now != before:
				c.cfg.Log.Error("a CA key cannot be used", "managed_key", name, "reason", now)
			case now == "" && before != "":
				c.cfg.Log.Info("a CA key can be used again", "managed_key", name)
			}
			trouble[name.(string)] = now
			return true
		})
	}
}

// look gives what is wrong with a key, "" for nothing.
func (c *Client) look(ctx context.Context, name string, spki []byte) string {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	response, err := c.Describe(ctx, &wire.DescribeRequest{Key: name, Find: true})
	switch {
	case err != nil:
		return err.Error()
	case len(response.Keys) != 1:
		return "hsmd does not describe it"
	case response.Keys[0].Fault != nil:
		return response.Keys[0].Fault.Err().Error()
	case !bytes.Equal(response.Keys[0].PublicKey, spki):
		return "another key pair is there under its name"
	}
	return ""
}
