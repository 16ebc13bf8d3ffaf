package test

import (
	"crypto/mldsa"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/faultmodule"
)

// TestPostQuantumRequests: what the API has of ML-DSA beside a chain.
func TestPostQuantumRequests(t *testing.T) {
	p, module := startPQ(t)
	p.PKID.Must(t, "POST", "sys/mounts/pki", map[string]any{"type": "pki", "config": map[string]any{"max_lease_ttl": "87600h"}})
	p.PKID.Refused(t, "POST", "pki/root/generate/internal", map[string]any{"common_name": "Root", "key_type": "ml-dsa", "key_bits": 66}, 400, "key_bits must be 44, 65 or 87")
	p.PKID.Refused(t, "POST", "sys/managed-keys/pkcs11/x", map[string]any{"library": "softhsm", "token_label": p.Token.Label, "pin": p.Token.PIN, "key_label": "x",
		"mechanism": "0x001D", "key_bits": 66, "allow_generate_key": true}, 400, "44, 65 or 87")

	// A key that hsmd names; a hash and a padding that mean nothing to it.
	root := parse(t, p.PKID.Must(t, "POST", "pki/root/generate/internal", map[string]any{"common_name": "Root", "key_type": "ml-dsa",
		"signature_bits": 384, "use_pss": true, "ttl": "8760h"}).String(t, "certificate"))
	if root.SignatureAlgorithm != x509.MLDSA65 {
		t.Errorf("signed with %s", root.SignatureAlgorithm)
	}
	issuer := p.PKID.Must(t, "GET", "pki/issuer/default", nil)
	if got := issuer.String(t, "revocation_signature_algorithm"); got != "ML-DSA-65" {
		t.Errorf("CRLs are signed with %s", got)
	}
	p.PKID.Must(t, "POST", "pki/issuer/default", map[string]any{"revocation_signature_algorithm": "ml-dsa-65"})
	p.PKID.Refused(t, "POST", "pki/issuer/default", map[string]any{"revocation_signature_algorithm": "ML-DSA-44"}, 400, "signs with ML-DSA-65 only")
	p.PKID.Refused(t, "POST", "pki/issuer/default", map[string]any{"revocation_signature_algorithm": "SHA256WithRSA"}, 400, "cannot sign with SHA256WithRSA")

	// Vault's default role has key usages that an ML-DSA key must not have.
	p.PKID.Must(t, "POST", "pki/roles/web", map[string]any{"allow_any_name": true, "key_type": "ml-dsa", "signature_bits": 256, "use_pss": true})
	role := p.PKID.Must(t, "GET", "pki/roles/web", nil)
	if got := fmt.Sprint(role.Data["key_type"], role.Data["key_bits"], role.Data["signature_bits"]); got != "ml-dsa65 0" {
		t.Errorf("the role has %s", got)
	}
	issued := p.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "www.example.com", "ttl": "1h"})
	leaf := parse(t, issued.String(t, "certificate"))
	holds(t, issued, leaf)
	if err := leaf.CheckSignatureFrom(root); err != nil || leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("%v, key usage %b", err, leaf.KeyUsage)
	}
	weaker, err := mldsa.GenerateKey(mldsa.MLDSA44())
	if err != nil {
		t.Fatal(err)
	}
	p.PKID.Refused(t, "POST", "pki/sign/web", map[string]any{"csr": requestBy(t, weaker, "www.example.com")}, 400, "ML-DSA-65 at least")
	verbatim := p.PKID.Must(t, "POST", "pki/sign-verbatim", map[string]any{"csr": requestBy(t, weaker, "www.example.com"), "ttl": "1h"})
	if leaf := parse(t, verbatim.String(t, "certificate")); leaf.KeyUsage != x509.KeyUsageDigitalSignature || !weaker.PublicKey().Equal(leaf.PublicKey) {
		t.Errorf("verbatim: key usage %b", leaf.KeyUsage)
	}

	// A signature that does not verify stays in hsmd.
	module.Set(t, faultmodule.Flip("C_Sign").Nth(1))
	p.PKID.Refused(t, "POST", "pki/issue/web", map[string]any{"common_name": "www.example.com"}, 500, "the token made a signature with key")
	p.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "www.example.com"})
	module.Set(t)

	// A CRL that goes in parts, and is held whole on its way.
	longList(t, p.PKID, "pki", root)

	// By the commands.
	run := func(words string, args ...string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(daemon.Bin(t), args[0]), args[1:]...)
		cmd.Env = append(os.Environ(), p.PKID.Env()...)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), words) {
			t.Errorf("%v: %v, want %q in\n%s", args, err, words, out)
		}
	}
	run("The CA works", "pkid", "quickstart", "-cn=Quick", "-mount=quick", "-library=softhsm", "-token-label="+p.Token.Label, "-pin="+p.Token.PIN, "-key-type=ML-DSA-44")
	run("The CA works", "pkid", "quickstart", "-cn=Internal", "-mount=internal", "-key-type=ML-DSA-87")
	run("ML-DSA-44, quick", "pkid", "ca", "-mount=quick")
	run("ML-DSA-87", "hsmd", "key", "list", "-find", "-address="+p.HSMD.Socket)
	check.CA(t, p)
}
