package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/hsmpki/hsmpki/hsmd/approval"
	"github.com/hsmpki/hsmpki/hsmd/auditlog"
	"github.com/hsmpki/hsmpki/hsmd/grant"
	"github.com/hsmpki/hsmpki/hsmd/managedkey"
	"github.com/hsmpki/hsmpki/hsmd/tbs"
	"github.com/hsmpki/hsmpki/wire"
)

// askAgain is when whoever waits for approval should ask again.
const askAgain = 10 * time.Second

// maxListed is how many octets of messages and words one answer to Approvals has.
const maxListed = wire.MaxAnswer / 2

// Approval is what the configuration says of approval.
type Approval struct {
	Keys map[string]*approval.Rule // of keys in the configuration, by name
	Wire *approval.Rule            // of all other keys
}

// rule gives the rule for a key, nil for none.
func (a *Approval) rule(k *managedkey.Key) *approval.Rule {
	if isConfigured(k) {
		return a.Keys[k.Name()]
	}
	return a.Wire
}

// rulesOf gives the rules for a key pair, whatever name it is asked for by.
func (s *State) rulesOf(spki []byte) (rules []*approval.Rule) {
	for _, k := range s.Keys.All() {
		public := k.Last()
		if public == nil || string(public.ID[:]) != string(spki) {
			continue
		}
		if r := s.Approval.rule(k); r != nil {
			rules = append(rules, r)
		}
	}
	return rules
}

// strictest gives of the rules that hold back a kind of message the one that asks
// for the most people, nil where none does.
func strictest(rules []*approval.Rule, kind string) (found *approval.Rule) {
	for _, r := range rules {
		if r.Needs(kind) && (found == nil || r.Quorum > found.Quorum) {
			found = r
		}
	}
	return found
}

// ruleFor gives the rule for what waits: that of its key pair, or of the name as
// long as the key pair was not looked for.
func (s *State) ruleFor(r *approval.Request) *approval.Rule {
	rules := s.rulesOf(r.SPKI)
	if k := s.Keys.Lookup(r.Key); len(rules) == 0 && k != nil && k.Last() == nil {
		rules = append(rules, s.Approval.rule(k))
	}
	return strictest(rules, r.Kind)
}

// approved holds back what people have not approved by a rule that is of its kind.
// message is the whole of what is to be signed.
func (c *session) approved(k *managedkey.Key, rule *approval.Rule, public *managedkey.Public, req *wire.SignRequest, summary *tbs.Summary, message []byte) error {
	if req.NoWait {
		return wire.Errorf(wire.Denied, "key %q signs this only when people have approved it, and this request cannot wait for that: it would be another the next time (for a certificate, sign a CSR)", k.Name())
	}
	if len(message) == 0 || len(message) > approval.MaxMessage {
		return wire.Errorf(wire.Invalid, "a message that waits for approval may have %d octets", approval.MaxMessage)
	}
	status, err := c.srv.approvals.Ask(rule, approval.Request{
		ID: req.Approval, UID: c.peer.UID, Key: k.Name(), SPKI: public.ID[:], Scheme: req.Scheme.String(), Kind: summary.Kind.String(),
		Message: message, Words: approval.Words(summary.Kind.String(), message), Context: shorten(req.Context),
	})
	switch {
	case errors.Is(err, approval.ErrOther):
		out := wire.Errorf(wire.Denied, "key %q: what is to be signed is not what approval %q is of", k.Name(), req.Approval)
		out.ID = req.Approval
		return out
	case errors.Is(err, approval.ErrFull):
		return &wire.Error{Code: wire.Busy, RetryAfter: time.Minute, Message: err.Error()}
	case err != nil:
		return wire.Errorf(wire.Internal, "approval: %v", err)
	case status.Approved():
		c.srv.log.Info("an approved message is signed", "id", status.ID, "key", k.Name(), "approvers", status.Given, "uid", c.peer.UID)
		return nil
	}
	level := slog.LevelDebug
	if status.New {
		level = slog.LevelInfo
	}
	c.srv.log.Log(context.Background(), level, "waits for approval", "id", status.ID, "key", k.Name(), "kind", status.Kind, "uid", c.peer.UID,
		"given", len(status.Given), "quorum", status.Quorum, "until", status.Until)
	out := wire.Errorf(wire.Pending, "key %q: approval %s of %d people is waited for until %s; given are %d (hsmd approvals)",
		k.Name(), status.ID, status.Quorum, status.Until.Format(time.RFC3339), len(status.Given))
	out.ID, out.Until, out.RetryAfter = status.ID, status.Until, askAgain
	return out
}

// recordApproval has the log of signatures take an approval down, before it
// counts.
func (c *session) recordApproval(ctx context.Context, name, signature string, s *approval.Status) error {
	e := &auditlog.Entry{Kind: auditlog.Approved, Key: s.Key, Scheme: s.Scheme, Size: int64(len(s.Message)), SHA256: sha256.Sum256(s.Message),
		NotAfter: s.Until, Peer: c.peerEntry(), Context: printable(s.Context), Approver: name, Approval: signature, Statement: s.Statement()}
	copy(e.SPKI[:], s.SPKI)
	line, err := c.srv.audit.Append(e, true)
	if err == nil {
		err = line.Wait(ctx)
	}
	if err != nil {
		return &wire.Error{Code: wire.Unavailable, RetryAfter: askAgain, Message: "the approval does not count, for it could not be recorded: " + err.Error()}
	}
	return nil
}

// Approvals lists what waits of the keys for which the peer may approve.
func (c *session) Approvals(_ context.Context, req *wire.ApprovalsRequest) (*wire.ApprovalsResponse, error) {
	state, g := c.now()
	if !g.Has(grant.Approve) {
		return nil, c.refused(grant.Approve, "")
	}
	waiting, err := c.srv.approvals.List(state.ruleFor)
	if err != nil {
		return nil, wire.Errorf(wire.Internal, "approval: %v", err)
	}
	waiting = slices.DeleteFunc(waiting, func(s *approval.Status) bool {
		return !g.Allows(grant.Approve, s.Key) || req.ID != "" && s.ID != req.ID
	})
	answer := &wire.ApprovalsResponse{}
	for _, s := range waiting {
		answer.Waiting = append(answer.Waiting, shown(s, maxListed/len(waiting)))
	}
	return answer, nil
}

// shown is what waits as people see it, as far as it fits: each has the same share
// of an answer, so that nobody can have others left out.
func shown(s *approval.Status, share int) wire.Waiting {
	w := wire.Waiting{ID: s.ID, Key: s.Key, Kind: s.Kind, UID: s.UID, Context: approval.Printable(s.Context),
		Asked: s.Asked.Unix(), Until: s.Until.Unix(), Given: s.Given, Quorum: s.Quorum, Statement: s.Statement()}
	size := 0
	for _, line := range s.Words {
		size += len(line)
	}
	if size <= share {
		w.Words = s.Words
	}
	if size += len(s.Message); size <= share {
		w.Message = s.Message
	}
	return w
}

// Approve adds a person's approval. Who carries it here does not matter but for
// the grant: the signature is what counts.
func (c *session) Approve(ctx context.Context, req *wire.ApproveRequest) (*wire.ApproveResponse, error) {
	state, g := c.now()
	if !g.Has(grant.Approve) {
		return nil, c.refused(grant.Approve, "")
	}
	name, status, err := c.srv.approvals.Approve(req.ID, req.Signature, state.ruleFor, func(name string, s *approval.Status) error {
		if !g.Allows(grant.Approve, s.Key) {
			return approval.ErrUnknown
		}
		if err := c.recordApproval(ctx, name, req.Signature, s); err != nil {
			return err
		}
		c.srv.log.Info("approved", "id", s.ID, "key", s.Key, "kind", s.Kind, "approver", name, "given", len(s.Given), "quorum", s.Quorum, "uid", c.peer.UID)
		return nil
	})
	switch {
	case errors.Is(err, approval.ErrUnknown):
		return nil, wire.Errorf(wire.UnknownKey, "nothing waits under %q", shorten(req.ID))
	case isCode(err, wire.Unavailable):
		return nil, err
	case err != nil:
		c.srv.quiet.warn("an approval was refused", "id", shorten(req.ID), "uid", c.peer.UID, "reason", err.Error())
		return nil, wire.Errorf(wire.Denied, "%v", err)
	}
	return &wire.ApproveResponse{Approver: name, Given: status.Given, Quorum: status.Quorum}, nil
}
