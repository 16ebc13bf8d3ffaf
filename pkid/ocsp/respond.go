package ocsp

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
	"github.com/hsmpki/hsmpki/wire"
)

// Respond answers one query, an OCSPRequest in DER, from a remote address. It
// always gives an answer, and never one that is unsigned where it tells of a
// certificate.
func (r *Responder) Respond(ctx context.Context, der []byte, remote string) *Response {
	// Step 1: is it a query, and is it answered here at all?
	now := r.now()
	desk, err := r.currentDesk()
	if err != nil {
		return r.failed(err)
	}
	if desk.view.Disabled {
		return failure(Unauthorized)
	}
	req, err := parseRequest(der)
	if err != nil {
		return failure(MalformedRequest)
	}

	// Step 2: for which issuer? For one that is not ours, an answer by one that
	// is would count for nothing (RFC 6960, section 2.3; RFC 5019, section 2.2.3).
	issuer := desk.issuerOf(req, now)
	if issuer == nil {
		return failure(Unauthorized)
	}

	// Step 3: the answer may be there. Changes are counted before the status is
	// read, so that what is kept under a count is at least as new.
	changes, err := r.source.Changes(ctx, issuer.Group)
	if err != nil {
		return r.failed(err)
	}
	var kept *entry
	if req.nonce == nil {
		if kept = desk.cache.get(req.cacheKey(), now); kept != nil && kept.changes == changes {
			return kept.response
		}
	} else if !r.limiter.allow(sourceOf(remote), now) {
		return limited()
	}

	// Step 4: what does the CA know? Where that is what a kept answer says, it
	// does for this count, too.
	statuses, known, err := r.statuses(ctx, issuer, req)
	if err != nil {
		return r.failed(err)
	}
	if kept != nil && slices.Equal(kept.statuses, statuses) {
		desk.cache.put(kept.at(changes))
		return kept.response
	}

	// Step 5: has this sender asked too much? There is no end of numbers that
	// were never issued, nor of ways to ask for several at once.
	if (!known || len(req.certs) > 1) && req.nonce == nil && !r.limiter.allow(sourceOf(remote), now) {
		return limited()
	}

	// Step 6: sign, and keep what everybody may get.
	response, err := r.sign(ctx, issuer, desk.view, req.answer(statuses, desk.view.UnissuedGood))
	if err != nil {
		return r.failed(err)
	}
	if known && req.nonce == nil {
		response.share()
		desk.cache.put(&entry{key: req.cacheKey(), changes: changes, statuses: statuses, response: response})
	}
	return response
}

// statuses asks for each certificate; known says that all were issued.
func (r *Responder) statuses(ctx context.Context, i *issuerAt, req *request) (statuses []Status, known bool, err error) {
	statuses, known = make([]Status, len(req.certs)), true
	for n := range req.certs {
		if serial := req.certs[n].serial; serial != nil {
			if statuses[n], err = r.source.Status(ctx, i.Group, serial); err != nil {
				return nil, false, err
			}
		}
		known = known && statuses[n].State != Unknown
	}
	return statuses, known, nil
}

// answer is what the query gets, without dates.
func (r *request) answer(statuses []Status, unissuedGood bool) *responseData {
	data := &responseData{singles: make([]single, len(r.certs)), nonce: r.nonce}
	for n := range r.certs {
		data.singles[n] = single{r.certs[n].raw, statuses[n]}
		if statuses[n].State == Unknown && unissuedGood {
			data.singles[n].status.State = Good
		}
	}
	return data
}

// sign has the answer signed: by the issuer's responder, or by the issuer. A
// responder whose key hsmd does not know any more (it was started anew) gets
// another, once.
func (r *Responder) sign(ctx context.Context, i *issuerAt, view *View, data *responseData) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, signTime)
	defer cancel()
	if err := r.turn(ctx); err != nil {
		return nil, err
	}
	defer func() { <-r.signing }()
	if view.ByIssuer {
		key, err := r.keys.IssuerKey(i.Issuer)
		if err != nil {
			return nil, err
		}
		data.keyHash = i.keyHash
		return r.signWith(ctx, key, i.Algorithm, i.Certificate, view, data)
	}
	d := r.delegateOf(i.Issuer)
	for again := false; ; again = true {
		c, err := r.credential(ctx, i.Issuer, d)
		if err != nil {
			return nil, err
		}
		data.keyHash = c.keyHash
		response, err := r.signWith(ctx, c.key, 0, c.certificate, view, data)
		if !errors.Is(err, wire.KeyChanged) || again {
			return response, err
		}
		d.current.CompareAndSwap(c, nil)
	}
}

// turn waits, not for long, until it may ask hsmd.
func (r *Responder) turn(ctx context.Context) error {
	select {
	case r.signing <- struct{}{}:
		return nil
	default:
	}
	wait := time.NewTimer(time.Second)
	defer wait.Stop()
	select {
	case r.signing <- struct{}{}:
		return nil
	case <-wait.C:
		return &wire.Error{Code: wire.Busy, Message: "too many OCSP answers wait for a signature", RetryAfter: time.Second}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// signWith dates the answer, which is good no longer than the certificate that
// it is verified with, and has it signed. The certificate comes along, the
// issuer's too: GnuTLS looks for it there only.
func (r *Responder) signWith(ctx context.Context, key Key, algorithm x509.SignatureAlgorithm, responder *x509.Certificate, view *View, data *responseData) (*Response, error) {
	now := r.now().UTC().Truncate(time.Second)
	data.producedAt, data.thisUpdate, data.nextUpdate = now, now, earliest(now.Add(view.Expiry), responder.NotAfter).Truncate(time.Second)
	message, err := data.encode()
	if err != nil {
		return nil, err
	}
	var signer crypto.MessageSigner
	if signer, err = key.Signer(ctx); err != nil {
		return nil, err
	}
	identifier, signature, err := issuance.SignMessage(message, algorithm, signer)
	if err != nil {
		return nil, err
	}
	der, err := assemble(message, identifier, signature, responder)
	if err != nil {
		return nil, err
	}
	return &Response{DER: der, ThisUpdate: data.thisUpdate, NextUpdate: data.nextUpdate}, nil
}

// limited is for a source that asked for more than its share.
func limited() *Response {
	r := tryLater(time.Second)
	r.Limited = true
	return r
}

// failed is the answer to a query that nothing is wrong with. Where it can help
// to ask again, it says so. Strangers can cause it at will, so the log has one
// of them in a while.
func (r *Responder) failed(err error) *Response {
	now := r.now().Unix()
	if errors.Is(err, context.Canceled) {
		return tryLater(0) // whoever asked is gone
	}
	if last := r.logged.Load(); now-last >= 5 && r.logged.CompareAndSwap(last, now) {
		r.log.Error("an OCSP query could not be answered", "error", err)
	}
	if e := wire.AsError(err); e.Code.Retryable() {
		response := tryLater(e.RetryAfter)
		response.Limited = e.Code == wire.Busy
		return response
	}
	return failure(InternalError)
}
