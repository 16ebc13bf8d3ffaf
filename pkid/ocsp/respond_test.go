package ocsp_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"math/big"
	"net/http"
	"sync"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/hsmpki/hsmpki/pkid/ocsp"
	"github.com/hsmpki/hsmpki/wire"
)

var start = time.Date(2026, 11, 24, 12, 0, 0, 500, time.UTC)

const year = 365 * 24 * time.Hour

func TestStatuses(t *testing.T) {
	a := newAuthority(start)
	i := a.issuer(t, "Root", "P-256", 0, year)
	r := a.open(t)
	leaf := a.leaf(t, i)
	revoked, held, never := big.NewInt(0x81), big.NewInt(3), big.NewInt(4)
	a.status("Root", revoked, ocsp.Status{State: ocsp.Revoked, RevokedAt: start.Add(-time.Hour), Reason: 1, InvalidityDate: start.Add(-2 * time.Hour)})
	a.status("Root", held, ocsp.Status{State: ocsp.Revoked, RevokedAt: start.Add(-time.Hour)})
	for _, c := range []struct {
		what           string
		serial         *big.Int
		status, reason int
	}{
		{"good", leaf.SerialNumber, xocsp.Good, 0},
		{"revoked", revoked, xocsp.Revoked, 1},
		{"revoked without a reason", held, xocsp.Revoked, 0},
		{"never issued", never, xocsp.Unknown, 0},
		{"no serial number of a certificate", big.NewInt(-5), xocsp.Unknown, 0},
		{"zero", big.NewInt(0), xocsp.Unknown, 0},
		{"of 21 octets", new(big.Int).Lsh(big.NewInt(1), 167), xocsp.Unknown, 0},
	} {
		got := parse(t, ask(t, r, about(t, i, c.serial)), c.serial, i.Certificate)
		if got.Status != c.status || got.RevocationReason != c.reason || !got.ThisUpdate.Equal(start.Truncate(time.Second)) ||
			got.NextUpdate.Sub(got.ThisUpdate) != 12*time.Hour || !got.ProducedAt.Equal(got.ThisUpdate) || len(got.ResponderKeyHash) != 20 {
			t.Errorf("%s: %+v", c.what, got)
		}
		if got.Status == xocsp.Revoked && !got.RevokedAt.Equal(start.Add(-time.Hour).Truncate(time.Second)) {
			t.Errorf("%s: revoked at %s", c.what, got.RevokedAt)
		}
	}
	a.set(func(v *ocsp.View) { v.UnissuedGood = true })
	if got := parse(t, ask(t, r, about(t, i, never)), never, i.Certificate); got.Status != xocsp.Good {
		t.Errorf("never issued, as in Vault: %d", got.Status)
	}
	if got := ask(t, r, about(t, i, never)); got.Cacheable {
		t.Error("an answer about a serial number that was never given may be shared")
	}
}

func TestSeveralInOneQuery(t *testing.T) {
	a := newAuthority(start)
	i := a.issuer(t, "Root", "P-256", 0, year)
	other := a.issuer(t, "Other", "P-256", 0, year)
	r := a.open(t)
	one, two := a.leaf(t, i), big.NewInt(4)
	a.status("Root", two, ocsp.Status{State: ocsp.Revoked, RevokedAt: start})
	q := &query{list: nonce(32)}
	for n, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		q.certs = append(q.certs, certID(t, i.Certificate, []*big.Int{one.SerialNumber, two}[n%2], hash))
	}
	response := ask(t, r, q)
	if got := parse(t, response, one.SerialNumber, i.Certificate); got.Status != xocsp.Good || got.IssuerHash != crypto.SHA1 {
		t.Errorf("the first: %+v", got)
	}
	if got := parse(t, response, two, i.Certificate); got.Status != xocsp.Revoked || got.IssuerHash != crypto.SHA256 {
		t.Errorf("the second: %+v", got)
	}
	for _, id := range q.certs {
		if !bytes.Contains(response.DER, id) {
			t.Errorf("a CertID is not repeated as it was")
		}
	}
	if !bytes.Contains(response.DER, q.list) || response.Cacheable {
		t.Error("the nonce is not echoed, or the answer may be shared")
	}
	// One responder speaks for one issuer.
	q.certs = append(q.certs, certID(t, other.Certificate, big.NewInt(1), crypto.SHA1))
	wantStatus(t, "two issuers", ask(t, r, q), ocsp.Unauthorized)
}

func TestUnauthorized(t *testing.T) {
	a := newAuthority(start)
	i := a.issuer(t, "Root", "P-256", 0, 24*time.Hour)
	elsewhere := newAuthority(start).issuer(t, "Root", "P-256", 0, year) // the name, and another key
	r := a.open(t)
	leaf := a.leaf(t, i).SerialNumber
	wantStatus(t, "a foreign issuer", ask(t, r, about(t, elsewhere, leaf)), ocsp.Unauthorized)
	md5 := about(t, i, leaf)
	md5.certs[0] = bytes.Replace(md5.certs[0], []byte("\x2b\x0e\x03\x02\x1a"), []byte("\x2b\x0e\x03\x02\x1b"), 1)
	wantStatus(t, "a hash that is not known", ask(t, r, md5), ocsp.Unauthorized)
	a.set(func(v *ocsp.View) { v.Disabled = true })
	wantStatus(t, "disabled", ask(t, r, about(t, i, leaf)), ocsp.Unauthorized)
	a.set(func(v *ocsp.View) { v.Disabled, v.Issuers = false, nil })
	wantStatus(t, "an issuer that may not sign", ask(t, r, about(t, i, leaf)), ocsp.Unauthorized)
	a.set(func(v *ocsp.View) { v.Issuers = []*ocsp.Issuer{i} })
	wantStatus(t, "allowed again", ask(t, r, about(t, i, leaf)), ocsp.Successful)
	a.pass(24*time.Hour - 90*time.Second)
	if got := parse(t, ask(t, r, about(t, i, leaf)), leaf, i.Certificate); !got.NextUpdate.Equal(i.Certificate.NotAfter) {
		t.Errorf("good until %s, the issuer until %s", got.NextUpdate, i.Certificate.NotAfter)
	}
	a.pass(time.Minute)
	wantStatus(t, "an issuer at its end", ask(t, r, about(t, i, leaf)), ocsp.Unauthorized)
	a.set(func(v *ocsp.View) { v.Issuers = nil })
	wantStatus(t, "no issuer", ask(t, r, about(t, i, leaf)), ocsp.Unauthorized)
}

// TestEveryAlgorithm has each kind of CA key sign: the responder's certificate,
// and the answers themselves.
func TestEveryAlgorithm(t *testing.T) {
	for algorithm, kind := range map[x509.SignatureAlgorithm]string{
		x509.SHA256WithRSA: "RSA", x509.SHA384WithRSA: "RSA", x509.SHA512WithRSA: "RSA",
		x509.SHA256WithRSAPSS: "RSA", x509.SHA384WithRSAPSS: "RSA", x509.SHA512WithRSAPSS: "RSA",
		x509.ECDSAWithSHA256: "P-256", x509.ECDSAWithSHA384: "P-384", x509.ECDSAWithSHA512: "P-521",
		x509.PureEd25519: "Ed25519", x509.UnknownSignatureAlgorithm: "P-384",
	} {
		t.Run(algorithm.String()+" "+kind, func(t *testing.T) {
			a := newAuthority(start)
			i := a.issuer(t, "Root", kind, algorithm, year)
			r := a.open(t)
			leaf := a.leaf(t, i).SerialNumber
			if got := parse(t, ask(t, r, about(t, i, leaf)), leaf, i.Certificate); got.Status != xocsp.Good || got.SignatureAlgorithm != x509.ECDSAWithSHA256 {
				t.Errorf("delegated: %+v", got)
			}
			if want := i.Certificate.SignatureAlgorithm; a.kept[0].SignatureAlgorithm != want {
				t.Errorf("the responder's certificate is signed with %s, want %s", a.kept[0].SignatureAlgorithm, want)
			}
			a.set(func(v *ocsp.View) { v.ByIssuer = true })
			verified(t, ask(t, r, about(t, i, leaf)), i.Certificate)
		})
	}
}

func TestHSMDIsBusyOrAway(t *testing.T) {
	a := newAuthority(start)
	i := a.issuer(t, "Root", "P-256", 0, year)
	r := a.open(t)
	one, two := a.leaf(t, i).SerialNumber, a.leaf(t, i).SerialNumber
	wantStatus(t, "at first", ask(t, r, about(t, i, one)), ocsp.Successful)
	for _, c := range []struct {
		fault  error
		status ocsp.ResponseStatus
		http   int
		after  time.Duration
	}{
		{&wire.Error{Code: wire.Busy, RetryAfter: 3 * time.Second}, ocsp.TryLater, http.StatusTooManyRequests, 3 * time.Second},
		{wire.Errorf(wire.Unavailable, "away"), ocsp.TryLater, http.StatusServiceUnavailable, time.Second},
		{wire.Errorf(wire.Denied, "no"), ocsp.InternalError, http.StatusInternalServerError, 0},
	} {
		a.lock(func() { a.fault = c.fault })
		got := ask(t, r, about(t, i, two))
		wantStatus(t, c.fault.Error(), got, c.status)
		if got.HTTPStatus() != c.http || got.RetryAfter != c.after {
			t.Errorf("%v: HTTP %d, after %s", c.fault, got.HTTPStatus(), got.RetryAfter)
		}
		wantStatus(t, "what is kept", ask(t, r, about(t, i, one)), ocsp.Successful)
	}
	a.lock(func() { a.fault = nil })
	wantStatus(t, "back", ask(t, r, about(t, i, two)), ocsp.Successful)
}

func TestManyAtOnce(t *testing.T) {
	a := newAuthority(start)
	i := a.issuer(t, "Root", "P-256", 0, year)
	r := a.open(t)
	var serials []*big.Int
	for n := range 40 {
		serials = append(serials, big.NewInt(int64(n+1)))
		a.status("Root", serials[n], ocsp.Status{State: ocsp.Good})
	}
	var running sync.WaitGroup
	for n := range 80 {
		running.Go(func() {
			for round := range 20 {
				serial := serials[(n+round)%len(serials)]
				if n%8 == 0 && round%5 == 0 {
					a.status("Root", serial, ocsp.Status{State: ocsp.Revoked, RevokedAt: start})
				}
				parse(t, ask(t, r, about(t, i, serial)), serial, i.Certificate)
			}
		})
	}
	running.Wait()
	if a.asked != 1 || len(a.kept) != 1 {
		t.Errorf("the responder's key was asked for %d times, %d certificates were made; want one", a.asked, len(a.kept))
	}
}
