package ocsp

import (
	"context"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

const (
	// certificateLife is how long a responder's certificate is valid. Nobody
	// asks whether it is revoked (ocsp-nocheck), so that is how long a
	// responder's key that fell into wrong hands would be believed. hsmd keeps
	// a key for as long from when it was asked for.
	certificateLife = 7*24*time.Hour - time.Second
	// backdate is for relying parties whose clocks are late.
	backdate = time.Minute
	// margin is what must be left of a certificate's life for it to be used.
	margin = time.Minute
	// failurePause is for how long nothing is tried after it failed to make a
	// certificate: while the HSM is away, queries do not ask it one by one.
	failurePause = 5 * time.Second
	// renewalPause is the same while there is a certificate that does.
	renewalPause = time.Minute
	// signTime bounds all that hsmd is asked for one query.
	signTime = 10 * time.Second
)

// oidNoCheck is id-pkix-ocsp-nocheck (RFC 6960, section 4.2.2.2.1).
var oidNoCheck = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}

// delegate is the responder of one issuer.
type delegate struct {
	making  chan struct{} // taken by who makes the certificate
	current atomic.Pointer[credential]
	failed  atomic.Pointer[attempt]
}

// credential is a responder's key with its certificate, which is kept in memory
// only: the key does not outlive hsmd either, and each pkid has its own.
type credential struct {
	key         Key
	certificate *x509.Certificate
	issuer      *x509.Certificate
	keyHash     [sha1.Size]byte
	renewAt     time.Time
}

// attempt is one that failed.
type attempt struct {
	err   error
	until time.Time // nothing is tried before
}

func (r *Responder) delegateOf(i *Issuer) *delegate {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.delegates[i.Group]
	if d == nil {
		d = &delegate{making: make(chan struct{}, 1)}
		r.delegates[i.Group] = d
	}
	return d
}

// keepDelegates drops the responders of issuers that are not in the view.
func (r *Responder) keepDelegates(view *View) {
	there := map[string]bool{}
	for _, i := range view.Issuers {
		there[i.Group] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for group := range r.delegates {
		if !there[group] {
			delete(r.delegates, group)
		}
	}
}

// does reports whether the certificate can be used for this issuer.
func (c *credential) does(i *Issuer, now time.Time) bool {
	return c != nil && c.issuer.Equal(i.Certificate) && now.Add(margin).Before(c.certificate.NotAfter)
}

// credential gives the key and certificate of an issuer's responder, and makes
// them where there are none. Half of its life before it ends, the first query
// that comes renews the certificate, and others go on with the old one.
func (r *Responder) credential(ctx context.Context, i *Issuer, d *delegate) (*credential, error) {
	now := r.now()
	c := d.current.Load()
	if c.does(i, now) {
		if now.Before(c.renewAt) {
			return c, nil
		}
		select {
		case d.making <- struct{}{}:
		default:
			return c, nil
		}
	} else {
		select {
		case d.making <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer func() { <-d.making }()

	// Somebody else may have been here.
	if c = d.current.Load(); c.does(i, now) && now.Before(c.renewAt) {
		return c, nil
	}
	made, err := r.renew(ctx, i, d, c, now)
	if err != nil && c.does(i, now) {
		return c, nil
	}
	return made, err
}

// renew makes the next certificate, unless it failed to just now. It belongs to
// no query: one that gives up does not end it for the others.
func (r *Responder) renew(ctx context.Context, i *Issuer, d *delegate, old *credential, now time.Time) (*credential, error) {
	if f := d.failed.Load(); f != nil && now.Before(f.until) {
		return nil, f.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), signTime)
	defer cancel()
	made, err := r.certify(ctx, i, now)
	if err != nil {
		pause := failurePause
		if old.does(i, now) {
			pause = renewalPause
		}
		d.failed.Store(&attempt{err: err, until: now.Add(pause)})
		r.log.Error("the OCSP responder has no new certificate", "issuer", i.Certificate.Subject.String(), "error", err)
		return nil, err
	}
	d.failed.Store(nil)
	d.current.Store(made)
	r.log.Info("the OCSP responder has a certificate", "issuer", i.Certificate.Subject.String(),
		"serial", issuance.FormatSerial(made.certificate.SerialNumber), "not_after", made.certificate.NotAfter)
	return made, nil
}

// certify asks hsmd for the responder's key and the issuer for a certificate:
// for OCSP alone (RFC 6960, section 4.2.2.2), not to be checked for revocation,
// and therefore short, and never longer than the issuer's own.
func (r *Responder) certify(ctx context.Context, i *Issuer, now time.Time) (*credential, error) {
	key, err := r.keys.ResponderKey(ctx, i)
	if err != nil {
		return nil, fmt.Errorf("the responder's key: %w", err)
	}
	issuer, err := issuance.NewIssuer(i.Certificate, issuance.URLs{})
	if err != nil {
		return nil, err
	}
	req := &issuance.Request{
		Names:            issuance.Names{Subject: pkix.Name{CommonName: "OCSP Responder"}},
		PublicKey:        key.Public(),
		KeyUsage:         x509.KeyUsageDigitalSignature,
		ExtendedKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
		ExtraExtensions:  []pkix.Extension{{Id: oidNoCheck, Value: asn1.NullBytes}},
		NotBefore:        latest(now.Add(-backdate), i.Certificate.NotBefore).Truncate(time.Second),
	}
	req.NotAfter = earliest(req.NotBefore.Add(certificateLife), i.Certificate.NotAfter)
	req.SignatureBits, req.PSS = choices(i.Algorithm)
	prepared, err := issuer.Prepare(req, now)
	if err != nil {
		return nil, err
	}
	if err := r.keys.Lint(i, prepared); err != nil {
		return nil, fmt.Errorf("the responder's certificate: %w", err)
	}
	own, err := r.keys.IssuerKey(i)
	if err != nil {
		return nil, err
	}
	signer, err := own.Signer(ctx)
	if err != nil {
		return nil, err
	}
	_, certificate, err := issuer.Issue(prepared, signer)
	if err != nil {
		return nil, err
	}
	if err := r.keys.Keep(ctx, i, certificate); err != nil {
		return nil, fmt.Errorf("the responder's certificate could not be kept: %w", err)
	}
	c := &credential{key: key, certificate: certificate, issuer: i.Certificate, renewAt: certificate.NotAfter}
	if certificate.NotAfter.Before(i.Certificate.NotAfter) {
		c.renewAt = certificate.NotBefore.Add(certificate.NotAfter.Sub(certificate.NotBefore) / 2)
	}
	keyHash, err := issuance.KeyID(key.Public())
	copy(c.keyHash[:], keyHash)
	return c, err
}

// choices are the hash size and padding that an algorithm asks of package
// issuance; keys other than RSA have one algorithm.
func choices(algorithm x509.SignatureAlgorithm) (bits int, pss bool) {
	switch algorithm {
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS:
		bits = 384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS:
		bits = 512
	}
	return bits, algorithm == x509.SHA256WithRSAPSS || algorithm == x509.SHA384WithRSAPSS || algorithm == x509.SHA512WithRSAPSS
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
