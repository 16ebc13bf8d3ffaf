package server

import (
	"context"
	"slices"
	"sync"

	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/tbs"
	"github.com/hsmpki/hsmpki/wire"
)

// maxFinds bounds how many keys one request looks for at a time.
const maxFinds = 8

// Describe tells what is known of keys. With Find their libraries are asked,
// whatever was known before: a key may be gone.
func (c *session) Describe(ctx context.Context, req *wire.DescribeRequest) (*wire.DescribeResponse, error) {
	defer c.srv.begin().end()
	keys, err := c.described(req.Key)
	if err != nil {
		return nil, err
	}
	var last uint64
	if len(req.Issuer) > 0 {
		if req.Key == "" {
			return nil, wire.Errorf(wire.Invalid, "the last CRL number is told with one key")
		}
		if last, err = c.srv.ledger.LastNumber(req.Issuer); err != nil {
			return nil, c.srv.notRemembered(tbs.RevocationList, err)
		}
	}
	answer := &wire.DescribeResponse{Keys: make([]wire.KeyInfo, len(keys))}
	if !req.Find {
		for i, k := range keys {
			answer.Keys[i] = info(k, k.Public(), nil)
			answer.Keys[i].CRLNumber = last
		}
		return answer, nil
	}
	var running sync.WaitGroup
	slots := make(chan struct{}, maxFinds)
	for i, k := range keys {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			public, err := c.srv.find(ctx, k)
			answer.Keys[i] = info(k, public, err)
			answer.Keys[i].CRLNumber = last
		})
	}
	running.Wait()
	return answer, nil
}

// described gives the key of that name, or all that the peer may use.
func (c *session) described(name string) ([]*managedkey.Key, error) {
	if name != "" {
		k, err := c.key(grant.Describe, name)
		return []*managedkey.Key{k}, err
	}
	state, g := c.now()
	var keys []*managedkey.Key
	for _, k := range state.Keys.All() {
		if g.may(grant.Describe, k.Name(), k) {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func info(k *managedkey.Key, public *managedkey.Public, err error) wire.KeyInfo {
	i := wire.KeyInfo{Definition: k.Shown(), Source: k.Source, Copies: copyInfos(k)}
	switch {
	case err != nil:
		i.Fault = wire.FaultOf(err)
	case k.Library == nil:
		i.Fault = wire.FaultOf(wire.Errorf(wire.Invalid, "%s", k.Fault))
	case public != nil:
		i.PublicKey, i.Schemes = public.SPKI, public.Schemes
	}
	return i
}

// Status tells how hsmd and its libraries are. No library is waited for longer
// than ctx; one that does not answer has a fault.
func (c *session) Status(ctx context.Context, req *wire.StatusRequest) (*wire.StatusResponse, error) {
	defer c.srv.begin().end()
	state, g := c.now()
	if !g.Has(grant.Status) {
		return nil, c.refused(grant.Status, "")
	}
	answer := &wire.StatusResponse{Version: c.srv.version, Started: c.srv.started.Unix()}
	libraries := state.Libraries
	if slices.ContainsFunc(state.Keys.All(), func(k *managedkey.Key) bool { return k.Definition.AWSKMS != nil }) {
		libraries = append(slices.Clone(libraries), state.AWSKMS)
	}
	answer.Libraries = make([]wire.LibraryStatus, len(libraries))
	var running sync.WaitGroup
	for i, l := range libraries {
		running.Go(func() { answer.Libraries[i] = libraryStatus(ctx, l) })
	}
	running.Wait()
	for _, k := range state.Keys.All() {
		if k.Copies != nil && g.may(grant.Describe, k.Name(), k) {
			answer.Copies = append(answer.Copies, wire.KeyCopies{Key: k.Name(), Copies: copyInfos(k)})
		}
	}
	if req.Numbers {
		answer.Numbers = append(c.srv.numbers.list(), c.srv.gauges()...)
	}
	return answer, nil
}

// copyInfos shows how the copies of a key are, without asking for them.
func copyInfos(k *managedkey.Key) []wire.CopyInfo {
	var all []wire.CopyInfo
	for _, c := range k.Copies {
		p := c.Definition.PKCS11
		i := wire.CopyInfo{Library: p.Library, TokenLabel: p.TokenLabel, TokenSerial: p.TokenSerial, Slot: p.Slot,
			KeyLabel: p.KeyLabel, KeyID: p.KeyID, Found: c.Public() != nil, UnderWay: int(c.UnderWay.Load())}
		if a := c.Away(); a != nil {
			i.Found, i.Fault, i.Since = false, wire.FaultOf(a.Err), a.Since.Unix()
		}
		all = append(all, i)
	}
	return all
}

// libraryStatus asks one library. What a worker says of refused PINs is for
// hsmd alone.
func libraryStatus(ctx context.Context, l *managedkey.Library) wire.LibraryStatus {
	status := wire.LibraryStatus{Name: l.Name, Path: l.Path}
	answer, err := l.Backend.Status(ctx, &wire.StatusRequest{})
	if err != nil {
		status.Fault = wire.FaultOf(err)
		return status
	}
	if len(answer.Libraries) > 0 {
		status = answer.Libraries[0]
		status.Name, status.Path = l.Name, l.Path
	}
	return status
}
