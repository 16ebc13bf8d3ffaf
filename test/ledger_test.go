package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/wire"
)

// withSerial is the to-be-signed part of a certificate.
func withSerial(t *testing.T, key *ecdsa.PrivateKey, serial *big.Int, cn string) []byte {
	t.Helper()
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "Root"}, SubjectKeyId: []byte{1}}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: cn}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert.RawTBSCertificate
}

// TestLedgerAfterKill9 kills hsmd at random moments while it signs: of each
// serial that was signed it knows for which certificate.
func TestLedgerAfterKill9(t *testing.T) {
	p := startHSMD(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	type pair struct{ one, other []byte } // of one serial
	var mu sync.Mutex
	var signed []pair
	for range 5 {
		s := newSigner(t, p)
		sign := func(c *wire.Client, message []byte) error {
			_, err := c.Sign(t.Context(), &wire.SignRequest{Key: s.name, SPKI: s.spki[:], Scheme: wire.ECDSAP256SHA256, Message: message})
			return err
		}
		for _, x := range signed {
			if err := sign(s.Client, x.one); err != nil {
				t.Errorf("what was signed: %v", err)
			}
			if err := sign(s.Client, x.other); !errors.Is(err, wire.Denied) || !strings.Contains(err.Error(), "of another certificate") {
				t.Errorf("another certificate with its serial: %v", err)
			}
		}
		work := make(chan pair, 400)
		for range cap(work) {
			n := serial(t)
			work <- pair{withSerial(t, key, n, "one"), withSerial(t, key, n, "other")}
		}
		close(work)
		enough := make(chan struct{}, cap(work))
		var running sync.WaitGroup
		for range 4 {
			c := wireClient(t, p.HSMD.Socket)
			running.Go(func() {
				for x := range work {
					if sign(c, x.one) != nil {
						return
					}
					mu.Lock()
					signed = append(signed, x)
					mu.Unlock()
					enough <- struct{}{}
				}
			})
		}
		for range 10 {
			<-enough
		}
		time.Sleep(mathrand.N(40 * time.Millisecond))
		p.HSMD.Kill9()
		running.Wait()
		p.HSMD.Start()
	}
}
