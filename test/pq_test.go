package test

import (
	"bytes"
	"crypto/mldsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ocsp"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/fakekms"
	"github.com/hsmpki/hsmpki/test/faultmodule"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

// startPQ is a pair whose token has ML-DSA.
func startPQ(t *testing.T) (*daemon.Pair, *faultmodule.Module) {
	t.Helper()
	token := softhsm.New(t)
	module := faultmodule.New(t, token.Library)
	module.MLDSA(t)
	env := map[string]string{"SOFTHSM2_CONF": token.Conf}
	for name, value := range module.Env {
		env[name] = value
	}
	h := daemon.NewHSMD(t, daemon.Library("softhsm", module.Library, env)+daemon.WireKeys+daemon.InternalKeys(token))
	h.Start()
	p := daemon.NewPKID(t, h, "")
	p.Start()
	return &daemon.Pair{Token: token, HSMD: h, PKID: p}, module
}

// pqKeys are definitions of CA keys on the token, by their names in a chain.
var pqKeys = map[string]map[string]any{
	"P-256":     {"mechanism": "0x1041", "curve": "P256"},
	"P-384":     {"mechanism": "0x1041", "curve": "P384"},
	"ML-DSA-44": {"mechanism": "0x001D", "key_bits": 44},
	"ML-DSA-65": {"mechanism": "0x001D", "key_bits": 65},
	"ML-DSA-87": {"mechanism": "0x001D", "key_bits": 87},
}

// inKMS defines a key in AWS KMS, of a kind in pqKeys.
func inKMS(t *testing.T, p *daemon.Pair, kms *fakekms.Server, name, kind string) {
	t.Helper()
	d := map[string]any{"access_key": fakekms.AccessKey, "secret_key": fakekms.SecretKey, "region": fakekms.Region, "endpoint": kms.URL,
		"kms_key": "alias/" + name, "key_type": kind, "allow_generate_key": true, "any_mount": true}
	if curve, ok := strings.CutPrefix(kind, "P-"); ok {
		d["key_type"], d["curve"] = "ECDSA", "P"+curve
	}
	p.PKID.Must(t, "POST", "sys/managed-keys/awskms/"+name, d)
}

// verified is what pqverify says.
type verified struct {
	Keys, Signatures, Revoked []string
	OCSP, Responder           string
}

// TestPostQuantumCA: roots and issuing CAs with ML-DSA keys, alone and mixed with
// ECDSA, with their CRLs and OCSP answers, judged by a program that shares no
// code with ours.
func TestPostQuantumCA(t *testing.T) {
	p, _ := startPQ(t)
	chains(t, p, func(name, kind string) { managedKey(t, p, name, "", pqKeys[kind]) })
}

// TestPostQuantumCAInKMS is the same with the keys in AWS KMS, which is given μ.
func TestPostQuantumCAInKMS(t *testing.T) {
	kms, token := fakekms.Start(t), softhsm.New(t)
	h := daemon.NewHSMD(t, daemon.Libraries(token.Store)+fmt.Sprintf("wire_keys {\n  libraries = [\"*\"]\n  regions = [%q]\n  endpoints = [%q]\n}\n", fakekms.Region, kms.URL))
	h.Start()
	pkid := daemon.NewPKID(t, h, "")
	pkid.Start()
	p := &daemon.Pair{Token: token, HSMD: h, PKID: pkid}
	chains(t, p, func(name, kind string) { inKMS(t, p, kms, name, kind) })
	longList(t, p.PKID, "root0", parse(t, string(p.PKID.Must(t, "GET", "root0/ca/pem", nil).Body)))
}

// chains has CAs built with keys that define defines, and judged.
func chains(t *testing.T, p *daemon.Pair, define func(name, kind string)) {
	t.Helper()
	pqverify := filepath.Join(t.TempDir(), "pqverify")
	if out, err := exec.Command("go", "build", "-o", pqverify, "./pqverify").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for i, chain := range [][3]string{
		{"ML-DSA-87", "ML-DSA-65", "ML-DSA-44"}, // root, issuing CA, end entity
		{"ML-DSA-65", "P-256", "ML-DSA-87"},
		{"P-384", "ML-DSA-44", "P-256"},
	} {
		t.Run(strings.Join(chain[:], ","), func(t *testing.T) {
			c := &pqChain{p: p, define: define, kinds: chain, root: fmt.Sprintf("root%d", i), issuing: fmt.Sprintf("pki%d", i), verify: pqverify, dir: t.TempDir()}
			c.build(t)
			c.judge(t)
		})
	}
	p.HSMD.Restart()
	p.PKID.Must(t, "POST", "pki0/issue/web", map[string]any{"common_name": "after.example.com"})
	check.CA(t, p)
}

// pqChain is a root and an issuing CA in a mount each.
type pqChain struct {
	p             *daemon.Pair
	define        func(name, kind string)
	kinds         [3]string
	root, issuing string
	verify, dir   string
}

func (c *pqChain) build(t *testing.T) {
	t.Helper()
	for i, mount := range []string{c.root, c.issuing} {
		c.define(mount, c.kinds[i])
		c.p.PKID.Must(t, "POST", "sys/mounts/"+mount, map[string]any{"type": "pki", "config": map[string]any{"max_lease_ttl": "87600h"}})
	}
	root := c.p.PKID.Must(t, "POST", c.root+"/root/generate/kms", map[string]any{"managed_key_name": c.root, "common_name": "Root", "ttl": "87600h", "max_path_length": 1})
	csr := c.p.PKID.Must(t, "POST", c.issuing+"/intermediate/generate/kms", map[string]any{"managed_key_name": c.issuing, "common_name": "Issuing CA"})
	signed := c.p.PKID.Must(t, "POST", c.root+"/root/sign-intermediate", map[string]any{"csr": csr.String(t, "csr"), "common_name": "Issuing CA", "ttl": "8760h"})
	c.p.PKID.Must(t, "POST", c.issuing+"/intermediate/set-signed", map[string]any{"certificate": signed.String(t, "certificate") + "\n" + root.String(t, "certificate")})
	c.write(t, "root", root.String(t, "certificate"))
	c.write(t, "issuing", signed.String(t, "certificate"))
	for mount, kind := range map[string]string{c.root: c.kinds[0], c.issuing: c.kinds[1]} {
		want := map[bool]string{true: "ml-dsa", false: "ec"}[strings.HasPrefix(kind, "ML-DSA")]
		if got := c.p.PKID.Must(t, "GET", mount+"/key/default", nil).String(t, "key_type"); got != want {
			t.Errorf("the key of %s is of type %s", mount, got)
		}
	}
	role := map[string]any{"allow_any_name": true, "key_type": "ec", "ttl": "24h"}
	if set, ok := strings.CutPrefix(c.kinds[2], "ML-DSA-"); ok {
		role["key_type"], role["key_bits"] = "ml-dsa", set
	}
	c.p.PKID.Must(t, "POST", c.issuing+"/roles/web", role)
}

func (c *pqChain) file(name string) string { return filepath.Join(c.dir, name) }

func (c *pqChain) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(c.file(name), []byte(content+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (c *pqChain) judge(t *testing.T) {
	t.Helper()
	issued := c.p.PKID.Must(t, "POST", c.issuing+"/issue/web", map[string]any{"common_name": "www.example.com"})
	leaf := parse(t, issued.String(t, "certificate"))
	holds(t, issued, leaf)
	serial := fmt.Sprintf("%x", leaf.SerialNumber)
	says := c.run(t, leaf)
	algorithm := map[string]string{"P-256": "ECDSA-SHA256", "P-384": "ECDSA-SHA384"}
	var keys, signatures []string
	for i := 2; i >= 0; i-- {
		keys = append(keys, c.kinds[i])
		by := c.kinds[max(i-1, 0)]
		if name, ok := algorithm[by]; ok {
			by = name
		}
		signatures = append(signatures, by)
	}
	if !slices.Equal(says.Keys, keys) || !slices.Equal(says.Signatures, signatures) || len(says.Revoked) > 0 || says.OCSP != "good" || says.Responder != "P-256" {
		t.Errorf("%+v; want keys %v and signatures %v", says, keys, signatures)
	}

	c.p.PKID.Must(t, "POST", c.issuing+"/revoke", map[string]any{"serial_number": issued.String(t, "serial_number"), "reason": "keyCompromise"})
	if says = c.run(t, leaf); !slices.Equal(says.Revoked, []string{serial}) || says.OCSP != "revoked" {
		t.Errorf("after the revocation: %+v", says)
	}
	// The responder's key is P-256; where that is not enough the issuer's signs.
	c.p.PKID.Must(t, "POST", c.issuing+"/config/crl", map[string]any{"ocsp_signer": "issuer"})
	if says = c.run(t, leaf); says.OCSP != "revoked" || says.Responder != c.kinds[1] {
		t.Errorf("by the issuer: %+v", says)
	}
	c.p.PKID.Must(t, "POST", c.issuing+"/config/crl", map[string]any{"ocsp_signer": "responder"})

	// A key that the caller made.
	key, err := mldsa.GenerateKey(mldsa.MLDSA87())
	if err != nil {
		t.Fatal(err)
	}
	c.p.PKID.Must(t, "POST", c.issuing+"/roles/any", map[string]any{"allow_any_name": true, "key_type": "any", "ttl": "24h"})
	signed := c.p.PKID.Must(t, "POST", c.issuing+"/sign/any", map[string]any{"csr": requestBy(t, key, "csr.example.com")})
	leaf = parse(t, signed.String(t, "certificate"))
	if leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("an ML-DSA key has the key usage %b", leaf.KeyUsage)
	}
	if says = c.run(t, leaf); says.Keys[0] != "ML-DSA-87" || says.OCSP != "good" {
		t.Errorf("by CSR: %+v", says)
	}
}

// run has a certificate judged with the CRLs and the OCSP answer of now.
func (c *pqChain) run(t *testing.T, leaf *x509.Certificate) (says verified) {
	t.Helper()
	issuer, err := os.ReadFile(c.file("issuing"))
	if err != nil {
		t.Fatal(err)
	}
	query, err := ocsp.CreateRequest(leaf, parse(t, string(issuer)), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.p.PKID.HTTP.Post("http://pkid/v1/"+c.issuing+"/ocsp", "application/ocsp-request", bytes.NewReader(query))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil {
		err = os.WriteFile(c.file("ocsp"), answer, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	lists := ""
	for _, mount := range []string{c.root, c.issuing} {
		lists += string(c.p.PKID.Must(t, "GET", mount+"/crl/pem", nil).Body) + "\n"
	}
	c.write(t, "crls", lists)
	c.write(t, "leaf", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})))
	cmd := exec.Command(c.verify, "-roots", c.file("root"), "-intermediates", c.file("issuing"), "-certificate", c.file("leaf"), "-crls", c.file("crls"), "-ocsp", c.file("ocsp"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pqverify: %v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	if err := json.Unmarshal(out, &says); err != nil {
		t.Fatal(err)
	}
	return says
}

// holds checks that the private key that came with a certificate is its.
func holds(t *testing.T, issued *daemon.Answer, leaf *x509.Certificate) {
	t.Helper()
	block, _ := pem.Decode([]byte(issued.String(t, "private_key")))
	if block == nil {
		t.Fatal("the private key is no PEM")
	}
	switch kind := issued.String(t, "private_key_type"); kind {
	case "ml-dsa":
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if block.Type != "PRIVATE KEY" || !key.(*mldsa.PrivateKey).PublicKey().Equal(leaf.PublicKey) {
			t.Errorf("the %s is not the certificate's", block.Type)
		}
	case "ec":
		key, err := x509.ParseECPrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if !key.PublicKey.Equal(leaf.PublicKey) {
			t.Error("the private key is not the certificate's")
		}
	default:
		t.Errorf("a private key of type %s", kind)
	}
}

// TestVerifierSharesNothing: pqverify imports the standard library alone.
func TestVerifierSharesNothing(t *testing.T) {
	for _, p := range goList(t, "-deps", "./test/pqverify") {
		if !p.Standard && p.ImportPath != module+"test/pqverify" {
			t.Errorf("pqverify needs %s", p.ImportPath)
		}
	}
}
