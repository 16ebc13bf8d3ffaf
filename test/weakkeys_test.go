package test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

// The prime factors of a key that Debian's OpenSSL made in 2008 (amd64, process
// 1000; github.com/HARICA-official/debian-weak-keys).
const (
	debianP = "EC915DF6053F7B0B659E3ED3C0FB9830E685B78AC689F6A65A264575D07FCA33E4C7368CD370AB6118114990E49A2DAF3C03DA87AB90AE976AC2CB3975CB4558E8EFB25D26A97C7CB9DEC8B09D974FF209E75193973A37309054432E9918504FA643799280EC9937D651C6919C42EC85898E023768AFB674D1309544C4153F1D"
	debianQ = "CD594D729B0B1F40EE12CCAAD3FD58BA1970DCE904581760991C77C144675CCEFACF9907A30E1D0B7B6170CB25F7A34CD68CB1DBF32D1CBAEF14DAE04FE3D6035E2329365C1DE2BFE456E5E9921A3FB1D52D3C2231AC7946E53947A173DB4E27D97FA107779AD234223ECE406C173EB758CCE08CC0F17A8079C62A48130DDFE9"
)

// textbookRSA signs with keys that crypto/rsa will not (PKCS #1 v1.5).
type textbookRSA struct {
	public *rsa.PublicKey
	d      *big.Int
}

// weakRSA makes a key of factors, all different primes.
func weakRSA(factors ...*big.Int) *textbookRSA {
	one, n, order := big.NewInt(1), big.NewInt(1), big.NewInt(1)
	for _, p := range factors {
		n.Mul(n, p)
		order.Mul(order, new(big.Int).Sub(p, one))
	}
	return &textbookRSA{&rsa.PublicKey{N: n, E: 65537}, new(big.Int).ModInverse(big.NewInt(65537), order)}
}

func (k *textbookRSA) Public() crypto.PublicKey { return k.public }

func (k *textbookRSA) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	padded := make([]byte, k.public.Size())
	suffix := append([]byte("\x00\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"), digest...)
	for i := range padded[:len(padded)-len(suffix)] {
		padded[i] = 0xff
	}
	padded[0], padded[1] = 0, 1
	copy(padded[len(padded)-len(suffix):], suffix)
	m := new(big.Int).SetBytes(padded)
	return m.Exp(m, k.d, k.public.N).FillBytes(padded), nil
}

// primeFrom gives the first prime from n on that fits the exponent.
func primeFrom(n *big.Int) *big.Int {
	e := big.NewInt(65537)
	for n = new(big.Int).SetBit(n, 0, 1); ; n.Add(n, big.NewInt(2)) {
		if n.ProbablyPrime(1) && new(big.Int).Mod(n, e).Cmp(big.NewInt(1)) != 0 {
			return n
		}
	}
}

func primeOf(t *testing.T, bits int) *big.Int {
	t.Helper()
	p, err := rand.Prime(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return primeFrom(p)
}

// infineonPrime makes a prime of 1024 bits as Infineon's library did: k*M +
// (65537^a mod M), where M is the product of the first 126 primes.
func infineonPrime(t *testing.T) *big.Int {
	t.Helper()
	m := big.NewInt(1)
	for n, found := int64(2), 0; found < 126; n++ {
		if big.NewInt(n).ProbablyPrime(1) {
			m.Mul(m, big.NewInt(n))
			found++
		}
	}
	for {
		a, err := rand.Int(rand.Reader, m)
		if err != nil {
			t.Fatal(err)
		}
		k := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(7), 1021), m)
		p := k.Add(k, a.Rsh(a, uint(m.BitLen()-50))).Mul(k, m)
		power, err := rand.Int(rand.Reader, m)
		if err != nil {
			t.Fatal(err)
		}
		if p.Add(p, power.Exp(big.NewInt(65537), power, m)); p.BitLen() == 1024 && p.ProbablyPrime(1) {
			return p
		}
	}
}

func number(digits string) *big.Int {
	n, _ := new(big.Int).SetString(digits, 16)
	return n
}

func csrOf(t *testing.T, key crypto.Signer) string {
	t.Helper()
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "weak.example.com"}, SignatureAlgorithm: x509.SHA256WithRSA}
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		template.SignatureAlgorithm = x509.ECDSAWithSHA256
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// weakKeys are keys by what is said of them.
func weakKeys(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	near := primeOf(t, 1024)
	least := new(big.Int).Lsh(big.NewInt(1), 2047)
	small, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), append(make([]byte, 31), 7))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{
		"CVE-2008-0166":                        weakRSA(number(debianP), number(debianQ)),
		"ROCA, CVE-2017-15361":                 weakRSA(infineonPrime(t), infineonPrime(t)),
		"Fermat's method":                      weakRSA(near, primeFrom(new(big.Int).Add(near, big.NewInt(2)))),
		"its modulus has a small prime factor": weakRSA(big.NewInt(1009), primeFrom(new(big.Int).Div(new(big.Int).Add(least, big.NewInt(1<<40)), big.NewInt(1009)))),
		"not a multiple of 8":                  weakRSA(primeOf(t, 1025), primeOf(t, 1026)),
		"its private key is a small number":    small,
		"RSA keys < 2048 bits are unsafe and not supported: got 1024": weakRSA(primeOf(t, 512), primeOf(t, 512)),
	}
}

// caWith is a root, in PEM, with this key.
func caWith(t *testing.T, key crypto.Signer) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "A root"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf(t, "CERTIFICATE", der)
}

// TestWeakKeys: a CSR with a weak key is refused with the weakness, on each
// path, and nothing is signed.
func TestWeakKeys(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	p.PKID.Must(t, "POST", "pki/roles/any", map[string]any{"allow_any_name": true, "key_type": "any"})
	paths := []string{"pki/sign/any", "pki/sign-verbatim", "pki/issuer/default/sign-verbatim/any", "pki/root/sign-intermediate"}
	weak := weakKeys(t)
	for words, key := range weak {
		body := map[string]any{"csr": csrOf(t, key), "common_name": "weak.example.com"}
		for _, path := range paths {
			p.PKID.Refused(t, "POST", path, body, 400, words)
		}
	}
	prime := weakRSA(primeOf(t, 2048))
	p.PKID.Refused(t, "POST", "pki/root/sign-intermediate", map[string]any{"csr": csrOf(t, prime), "common_name": "Weak"}, 400, "its modulus is itself a prime number")
	good := weakRSA(primeOf(t, 1024), primeOf(t, 1024))
	p.PKID.Must(t, "POST", "pki/sign/any", map[string]any{"csr": csrOf(t, good), "common_name": "good.example.com"})
	if n := len(p.PKID.Must(t, "LIST", "pki/certs", nil).Data["keys"].([]any)); n != 2 {
		t.Errorf("%d certificates, want the root and the good one", n)
	}
}

// TestWeakKeysOfImports: a CA whose key others can have is no issuer here, be
// it for chains only, and nothing else of its bundle comes in.
func TestWeakKeysOfImports(t *testing.T) {
	p := daemon.Start(t)
	p.PKID.Must(t, "POST", "sys/mounts/pki", map[string]any{"type": "pki"})
	good := caWith(t, weakRSA(primeOf(t, 1024), primeOf(t, 1024)))
	weak := weakKeys(t)
	weak["its modulus is itself a prime number"] = weakRSA(primeOf(t, 2048))
	for words, key := range weak {
		bundle := caWith(t, key)
		p.PKID.Refused(t, "POST", "pki/intermediate/set-signed", map[string]any{"certificate": bundle}, 400, words)
		for _, path := range []string{"pki/issuers/import/cert", "pki/issuers/import/bundle", "pki/config/ca"} {
			p.PKID.Refused(t, "POST", path, map[string]any{"pem_bundle": good + bundle}, 400, "(CN=A root): ")
			p.PKID.Refused(t, "POST", path, map[string]any{"pem_bundle": good + bundle}, 400, words)
		}
	}
	p.PKID.Refused(t, "LIST", "pki/issuers", nil, 404, "")
	p.PKID.Must(t, "POST", "pki/issuers/import/cert", map[string]any{"pem_bundle": good})
}

// TestCompromisedKeys: once a certificate was revoked because others have its
// key, no mount certifies that key, nor takes a CA that has it, whether the mount
// of the revocation is still there or not.
func TestCompromisedKeys(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	key := newKey(t)
	body := map[string]any{"csr": csrOf(t, key), "common_name": "weak.example.com", "ttl": "1h"}
	first := p.PKID.Must(t, "POST", "pki/sign/web", body)
	define(t, p, "other")
	p.PKID.Must(t, "POST", "sys/mounts/other", map[string]any{"type": "pki"})
	p.PKID.Must(t, "POST", "other/root/generate/kms", map[string]any{"managed_key_name": "other", "common_name": "Other"})
	p.PKID.Must(t, "POST", "other/roles/web", map[string]any{"allow_any_name": true, "key_type": "any"})
	p.PKID.Must(t, "POST", "other/sign/web", body)

	p.PKID.Must(t, "POST", "pki/revoke", map[string]any{"serial_number": first.String(t, "serial_number"), "reason": "keyCompromise"})
	refused := func() {
		t.Helper()
		for _, path := range []string{"other/sign/web", "other/sign-verbatim", "other/root/sign-intermediate"} {
			p.PKID.Refused(t, "POST", path, body, 400, "the public key is compromised")
		}
		p.PKID.Refused(t, "POST", "other/issuers/import/cert", map[string]any{"pem_bundle": caWith(t, key)}, 400, "the public key is compromised")
	}
	refused()
	p.PKID.Refused(t, "POST", "pki/sign/web", body, 400, "the public key is compromised")
	p.PKID.Must(t, "DELETE", "sys/mounts/pki", nil)
	refused()
	p.PKID.Restart()
	refused()
}

// TestBlockedKeys: the files of blocked_keys count from the start, for leaves and
// roots, and anew after SIGHUP.
func TestBlockedKeys(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "blocked")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	write := func(public crypto.PublicKey) {
		spki, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(blocked, fmt.Appendf(nil, "# stolen\n%x\n", sha256.Sum256(spki)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(key.Public())
	token := softhsm.New(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+daemon.WireKeys)
	h.Start()
	p := &daemon.Pair{Token: token, HSMD: h, PKID: daemon.NewPKID(t, h, fmt.Sprintf("blocked_keys = [%q]\n", blocked))}
	p.PKID.Start()
	ca(t, p)
	body := map[string]any{"csr": csrOf(t, key), "common_name": "weak.example.com"}
	p.PKID.Refused(t, "POST", "pki/sign/web", body, 400, "it is in a file of blocked_keys")

	write(parse(t, p.PKID.Must(t, "GET", "pki/cert/ca", nil).String(t, "certificate")).PublicKey)
	if err := syscall.Kill(p.PKID.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if a, err := p.PKID.Request("POST", "pki/sign/web", body); err == nil && a.Status == 200 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("after SIGHUP: %v, %v", a, err)
		}
	}
	p.PKID.Refused(t, "POST", "pki/root/generate/kms", map[string]any{"managed_key_name": "ca", "common_name": "Again"}, 400, "it is in a file of blocked_keys")
}

// TestCAKeyInLeaf: nobody gets a leaf for a CA key, be it of another mount.
func TestCAKeyInLeaf(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	body := map[string]any{"csr": csrOf(t, key), "common_name": "weak.example.com"}
	p.PKID.Must(t, "POST", "pki/sign/web", body)

	// The key comes to a token, and so to a CA.
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Token.Util(t, "--import", file, "--token", p.Token.Label, "--label", "imported", "--id", "77", "--pin", p.Token.PIN)
	define(t, p, "imported")
	p.PKID.Must(t, "POST", "sys/mounts/other", map[string]any{"type": "pki"})
	p.PKID.Must(t, "POST", "other/root/generate/kms", map[string]any{"managed_key_name": "imported", "common_name": "Other"})
	for _, path := range []string{"pki/sign/web", "pki/sign-verbatim"} {
		p.PKID.Refused(t, "POST", path, body, 400, "the public key is that of a CA here")
	}
}
