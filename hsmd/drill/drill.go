// Package drill is the attacker's client: run as the user of whoever asks hsmd, it
// tries over the socket what an attacker there would, and says what it got. It
// knows the protocol and nothing else of hsmd.
//
// What it gets is of no use. Certificates are for a public key whose private half
// nobody has (but own-key's, for the CA's own key, which ends in a minute); CRLs and
// OCSP responses are in a name of the drill's own, made up at each run. It shows no PIN to a token and makes no key. It does leave its lines in
// hsmd's log and its serial numbers in the ledger, and counts in rates; where
// people approve, its requests wait for them.
package drill

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// Target is the hsmd that is tried.
type Target struct {
	Dial    func(context.Context) (net.Conn, error)
	Key     string            // only this one; empty: all that hsmd shows
	DNSName string            // a name that the key's constraints permit
	Issuer  *x509.Certificate // of the CA, for its name and key identifier, or nil: a name of the drill's own

	client    *wire.Client
	name      []byte // the drill's own
	subject   *ecdsa.PublicKey
	throwaway *ecdsa.PrivateKey
}

// Verdict is how an attempt ended.
type Verdict string

// The verdicts. Untold is none: what was asked for failed for another reason than
// a rule, and may be had at another time.
const (
	Refused Verdict = "refused"
	Got     Verdict = "GOT"
	Untold  Verdict = "untold"
)

// Result is one attempt's. Words are hsmd's where it refused, and say what was got
// otherwise: Message, whose hash is in hsmd's log, if it is a signature.
type Result struct {
	Key, Attempt string
	Verdict      Verdict
	Words        string
	Message      []byte
}

// Run tries everything, and reports each attempt when it has ended.
func Run(ctx context.Context, t Target, report func(Result)) error {
	conn, err := t.Dial(ctx)
	if err != nil {
		return err
	}
	if t.client, err = wire.NewClient(conn, wire.ClientConfig{Software: software}); err != nil {
		return fmt.Errorf("hsmd lets this user have nothing, not an octet: %w", err)
	}
	defer t.client.Close()
	if t.throwaway, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	t.subject = nobodysKey()
	name := pkix.Name{CommonName: fmt.Sprintf("hsmd drill %x", newSerial())}.ToRDNSequence()
	if t.name, err = asn1.Marshal(name); err != nil {
		return err
	}
	described, err := t.client.Describe(ctx, &wire.DescribeRequest{Key: t.Key, Find: true})
	if err != nil {
		return err
	}
	for i := range described.Keys {
		k, err := newKey(&t, &described.Keys[i])
		if err != nil {
			report(Result{Key: described.Keys[i].Definition.Name, Attempt: "any", Verdict: Untold, Words: err.Error()})
			continue
		}
		if err := k.attack(ctx, report); err != nil {
			return err
		}
	}
	t.attackService(ctx, report)
	return t.attackProtocol(ctx, report)
}

// issuer is the parent that certificates name.
func (t *Target) issuer() *x509.Certificate {
	if t.Issuer != nil {
		return &x509.Certificate{RawSubject: t.Issuer.RawSubject, SubjectKeyId: t.Issuer.SubjectKeyId}
	}
	return &x509.Certificate{RawSubject: t.name}
}

// key is one of hsmd's, with what is to be known of it to ask for a signature.
type key struct {
	target    *Target
	name      string
	scheme    wire.SignatureScheme
	algorithm []byte // DER
	spki      []byte
	public    any
}

func newKey(t *Target, info *wire.KeyInfo) (*key, error) {
	if err := info.Fault.Err(); err != nil {
		return nil, err
	}
	if len(info.Schemes) == 0 || len(info.PublicKey) == 0 {
		return nil, errors.New("hsmd has not found it")
	}
	k := &key{target: t, name: info.Definition.Name, scheme: info.Schemes[0], spki: info.PublicKey}
	algorithm, known := algorithms[k.scheme]
	if !known {
		return nil, fmt.Errorf("%v is no scheme of X.509", k.scheme)
	}
	var err error
	if k.algorithm, err = asn1.Marshal(algorithm); err != nil {
		return nil, err
	}
	k.public, err = x509.ParsePKIXPublicKey(k.spki)
	return k, err
}

// sign asks for a signature; where the rate is all that stands in the way, it
// waits, as an attacker would.
func (k *key) sign(ctx context.Context, change func(*wire.SignRequest)) error {
	spki := sha256.Sum256(k.spki)
	for try := 0; ; try++ {
		req := &wire.SignRequest{Key: k.name, SPKI: spki[:], Scheme: k.scheme, Context: "hsmd drill"}
		change(req)
		_, err := k.target.client.Sign(ctx, req)
		e, is := errors.AsType[*wire.Error](err)
		if !is || e.Code != wire.Busy || try == 10 {
			return err
		}
		select {
		case <-time.After(min(max(e.RetryAfter, 10*time.Millisecond), time.Second)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// verdict reads an answer: which failures are a rule's word, and which are not.
func verdict(err error) (Verdict, string) {
	e, is := errors.AsType[*wire.Error](err)
	switch {
	case err == nil:
		return Got, ""
	case !is:
		return Untold, err.Error()
	case e.Code == wire.Pending:
		return Refused, "until people approve it: " + e.ID
	case e.Code == wire.Denied, e.Code == wire.Invalid, e.Code == wire.UnknownKey, e.Code == wire.KeyChanged:
		return Refused, e.Error()
	}
	return Untold, e.Error()
}
