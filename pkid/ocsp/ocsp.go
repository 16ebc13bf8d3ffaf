// Package ocsp answers OCSP queries (RFC 6960, RFC 9654, over HTTP as in RFC
// 5019): it parses a query, finds out what the CA knows of the certificates,
// has the answer signed, and keeps it until it changes. It encodes and parses
// by itself, because x/crypto/ocsp reads the first certificate of a query only,
// knows no nonce, and signs with fewer algorithms than a CA key here may have.
//
// It knows neither the store nor hsmd; package ca meets [StatusSource] and
// [KeySource]. Start with [Responder.Respond], in respond.go.
package ocsp

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

// Settings are a mount's, from config/crl.
type Settings struct {
	// Disabled refuses every query (ocsp_disable).
	Disabled bool
	// Expiry is how long an answer is good (ocsp_expiry); it is not 0, because
	// an answer without nextUpdate is good for ever, and hsmd signs none.
	Expiry time.Duration
	// UnissuedGood answers "good" for what was never issued, as Vault does, in
	// place of "unknown" (ocsp_unissued = "good").
	UnissuedGood bool
	// ByIssuer has the issuer's own key sign the answers, in place of a
	// responder that it certifies (ocsp_signer = "issuer"): for relying parties
	// that take no other. Each answer is then a signature by the HSM.
	ByIssuer bool
}

// DefaultSettings are those of a mount that sets none.
var DefaultSettings = Settings{Expiry: 12 * time.Hour}

// View is what queries are answered by. It is immutable, and a [StatusSource]
// gives the same one until something in it changes.
type View struct {
	Settings
	// Issuers has one issuer for each subject and public key of the mount that
	// may sign answers (ocsp-signing) and has a key to.
	Issuers []*Issuer
}

// Issuer is an issuer as a query names it, by its subject and public key; a CA
// that has several certificates for these is one. It is immutable.
type Issuer struct {
	// Group is its name to the StatusSource.
	Group string
	// Certificate is the one under which answers are given: of several, the one
	// that ends last.
	Certificate *x509.Certificate
	// Algorithm is what its key signs with; 0 is that key's default.
	Algorithm x509.SignatureAlgorithm
}

// State is what the CA says of one certificate.
type State uint8

// The states, as in CertStatus (RFC 6960, section 4.2.1).
const (
	Unknown State = iota // never issued by that issuer
	Good                 // issued and not revoked, whether stored or not
	Revoked
)

// Status is what is known of one certificate. RevokedAt, Reason (a CRLReason,
// RFC 5280, section 5.3.1) and InvalidityDate (section 5.3.2; zero where there
// is none) belong to Revoked.
type Status struct {
	State          State
	RevokedAt      time.Time
	Reason         int
	InvalidityDate time.Time
}

// StatusSource tells what the CA of a mount knows.
type StatusSource interface {
	// View gives the settings and issuers in force.
	View() *View
	// Changes counts the changes of the status of a group's certificates. What
	// Status answers is at least as new as what Changes said before.
	Changes(ctx context.Context, group string) (int64, error)
	// Status tells of a certificate by the octets of its positive serial
	// number, 1 to 20, without leading zeros.
	Status(ctx context.Context, group string, serial []byte) (Status, error)
}

// KeySource gives the keys that sign.
type KeySource interface {
	// IssuerKey is an issuer's own key.
	IssuerKey(i *Issuer) (Key, error)
	// ResponderKey is the key of the issuer's responder, which hsmd makes and
	// may have made another of since it was asked the last time.
	ResponderKey(ctx context.Context, i *Issuer) (Key, error)
	// Lint looks at a responder's certificate before it is signed, and may
	// refuse it.
	Lint(i *Issuer, prepared *issuance.Prepared) error
	// Keep records a responder's certificate, before it is used.
	Keep(ctx context.Context, i *Issuer, certificate *x509.Certificate) error
}

// Key is a key at hsmd. Its errors, and those of its signers, have a
// [wire.Error] in their chain where they are hsmd's.
type Key interface {
	Public() crypto.PublicKey
	// Signer gives the key for the time of ctx, if the mount may use it.
	Signer(ctx context.Context) (crypto.MessageSigner, error)
}

// Config is what a Responder is made of.
type Config struct {
	Source StatusSource
	Keys   KeySource
	Now    func() time.Time
	Log    *slog.Logger
	// CacheBytes bounds the answers that are kept; 0: 32 MiB.
	CacheBytes int
}

// Responder answers the queries for one mount. It may be used by many
// goroutines.
type Responder struct {
	source StatusSource
	keys   KeySource
	now    func() time.Time
	log    *slog.Logger

	cacheBytes int

	desk    atomic.Pointer[desk]
	limiter limiter
	signing chan struct{} // taken by who has an answer signed
	logged  atomic.Int64  // when a failure was logged last, seconds

	mu        sync.Mutex
	delegates map[string]*delegate // by group
}

// maxSigning bounds the signatures that a mount's queries ask of hsmd at a
// time, so that a flood of them leaves room for issuing on the same connection.
const maxSigning = 16

// New makes a Responder.
func New(c Config) (*Responder, error) {
	if c.Source == nil || c.Keys == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("ocsp: Config lacks Source, Keys, Now or Log")
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = 32 << 20
	}
	return &Responder{
		source: c.Source, keys: c.Keys, now: c.Now, log: c.Log,
		cacheBytes: c.CacheBytes,
		signing:    make(chan struct{}, maxSigning),
		delegates:  map[string]*delegate{},
	}, nil
}
