package check

import (
	"crypto/x509"
	"math/big"
	"strings"
	"testing"

	"golang.org/x/crypto/ocsp"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// revokedOverOCSP checks that OCSP says of each certificate that it is revoked.
// Serials are with colons.
func revokedOverOCSP(t testing.TB, p *daemon.PKID, mount string, issuer *x509.Certificate, serials []string) {
	t.Helper()
	for _, serial := range serials {
		number, ok := new(big.Int).SetString(strings.ReplaceAll(serial, ":", ""), 16)
		if !ok {
			t.Fatalf("%s lists the serial %q", mount, serial)
		}
		query, err := ocsp.CreateRequest(&x509.Certificate{SerialNumber: number}, issuer, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := p.Request("POST", mount+"ocsp", query)
		if err != nil {
			t.Fatal(err)
		}
		response, err := ocsp.ParseResponseForCert(answer.Body, &x509.Certificate{SerialNumber: number}, issuer)
		switch {
		case err != nil:
			t.Errorf("%s serial %s: OCSP answers %d: %v", mount, serial, answer.Status, err)
		case response.Status != ocsp.Revoked:
			t.Errorf("%s serial %s is revoked, and OCSP says %d", mount, serial, response.Status)
		}
	}
}
