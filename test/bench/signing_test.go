package bench_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
	"github.com/hsmpki/hsmpki/wire/unixsock"
)

// roundTime is how long each measurement lasts, rounds how many there are; the
// ways of signing take turns, so that a busy moment hits all of them.
const (
	roundTime = 2 * time.Second
	rounds    = 3
)

// BenchmarkSigning holds hsmd beside the same token used directly in one
// process, and beside p11-kit's remoting.
func BenchmarkSigning(b *testing.B) {
	token := softhsm.New(b)
	b.Setenv("SOFTHSM2_CONF", token.Conf)
	h := quietHSMD(b, token, managed(token, "rsa", `mechanism = "0x0001"`, "key_bits = 2048")+managed(token, "p256", `mechanism = "0x1041"`, `curve = "P256"`))
	conn, err := unixsock.Dial(h.Socket, time.Second)
	if err != nil {
		b.Fatal(err)
	}
	client, err := wire.NewClient(conn, wire.ClientConfig{Software: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	remote := serveP11Kit(b, token)

	fmt.Printf("\n%s\n\n| key | callers | direct /s | hsmd /s | of direct | p11-kit /s | hsmd ÷ p11-kit | hsmd p50 µs | hsmd p99 µs | hsmd + worker CPU µs |\n|---|---|---|---|---|---|---|---|---|---|\n", machine())
	for _, key := range []struct {
		name, kind string
		scheme     wire.SignatureScheme
	}{{"rsa", "RSA-2048", wire.RSAPKCS1SHA256}, {"p256", "P-256", wire.ECDSAP256SHA256}} {
		request := toSign(b, client, key.name, key.scheme)
		watched := processes{"hsmd": append(h.WorkerPIDs(), h.PID())}
		for _, callers := range []int{1, 8} {
			near := openDirect(b, token.Library, token.Label, token.PIN, key.name, key.kind, callers)
			var direct, proxied, kit []run
			for range rounds {
				direct = append(direct, load(b, callers, roundTime, nil, func(caller int) error { return near.sign(caller, request.Message) }))
				proxied = append(proxied, load(b, callers, roundTime, watched, func(int) error {
					_, err := client.Sign(b.Context(), request)
					return err
				}))
				kit = append(kit, remote.load(b, key.name, key.kind, callers))
			}
			near.close()
			d, p, k := median(direct), median(proxied), median(kit)
			fmt.Printf("| %s | %d | %.0f | %.0f | %.2f | %.0f | %.1f | %d | %d | %d |\n", key.kind, callers, d.perSecond(), p.perSecond(),
				p.perSecond()/d.perSecond(), k.perSecond(), p.perSecond()/k.perSecond(), p.at(0.5).Microseconds(), p.at(0.99).Microseconds(), p.cpuEach("hsmd").Microseconds())
		}
	}
}

// quietHSMD runs an hsmd that logs warnings only, as one in production.
func quietHSMD(b *testing.B, token *softhsm.Token, keys string) *daemon.HSMD {
	b.Helper()
	blocks := daemon.Libraries(token.Store) + keys
	h := daemon.NewHSMD(b, blocks)
	h.Level = "warn"
	h.Write(b, blocks)
	h.Start()
	return h
}

func managed(token *softhsm.Token, name, mechanism, size string) string {
	return fmt.Sprintf(`
managed_key "pkcs11" %q {
  library            = "softhsm"
  token_label        = %q
  pin                = %q
  key_label          = %[1]q
  %[4]s
  %[5]s
  allow_generate_key = true
  any_mount          = true
}
`, name, token.Label, token.PIN, mechanism, size)
}

// toSign makes the key and a request to sign the certificate that crypto/x509
// would have signed with it.
func toSign(b *testing.B, client *wire.Client, name string, scheme wire.SignatureScheme) *wire.SignRequest {
	b.Helper()
	made, err := client.Generate(b.Context(), &wire.GenerateRequest{Key: name, ID: name})
	if err != nil {
		b.Fatal(err)
	}
	public, err := x509.ParsePKIXPublicKey(made.Key.PublicKey)
	if err != nil {
		b.Fatal(err)
	}
	id := sha256.Sum256(made.Key.PublicKey)
	request := &wire.SignRequest{Key: name, SPKI: id[:], Scheme: scheme, Context: "pki 5a9bdbf4-3a9b-4d0c-9d4b-3a5bbd1a3a0e"}
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(id[:19]), Subject: pkix.Name{CommonName: "www.example.com"}, DNSNames: []string{"www.example.com"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, SubjectKeyId: id[:20], AuthorityKeyId: id[:20],
		CRLDistributionPoints: []string{"http://crl.example.com/pki/crl"},
	}
	subject, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := x509.CreateCertificate(rand.Reader, template, template, subject.Public(), &capture{client, request, public}); err != nil {
		b.Fatal(err)
	}
	return request
}

// capture signs through hsmd and keeps what was signed.
type capture struct {
	client  *wire.Client
	request *wire.SignRequest
	public  crypto.PublicKey
}

func (c *capture) Public() crypto.PublicKey { return c.public }

func (c *capture) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, fmt.Errorf("a digest was handed over")
}

func (c *capture) SignMessage(_ io.Reader, message []byte, _ crypto.SignerOpts) ([]byte, error) {
	c.request.Message = message
	response, err := c.client.Sign(context.Background(), c.request)
	if err != nil {
		return nil, err
	}
	return response.Signature, nil
}
