package test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	vault "github.com/hashicorp/vault/api"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
)

func vaultClient(t *testing.T, p *daemon.PKID) *vault.Client {
	t.Helper()
	cfg := vault.DefaultConfig()
	if cfg.Error != nil {
		t.Fatal(cfg.Error)
	}
	cfg.Address = p.Addr()
	cfg.MaxRetries = 0
	c, err := vault.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.ClearToken()
	return c
}

// TestVaultClient does the tutorial with Vault's own Go client, over the Unix
// socket and without a token.
func TestVaultClient(t *testing.T) {
	p := daemon.Start(t)
	c := vaultClient(t, p.PKID)
	logical := c.Logical()
	write := func(path string, data map[string]any) *vault.Secret {
		t.Helper()
		s, err := logical.Write(path, data)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}

	health, err := c.Sys().Health()
	if err != nil || !health.Initialized || health.Sealed {
		t.Fatalf("health: %+v, %v", health, err)
	}
	status, err := c.Sys().SealStatus()
	if err != nil || status.Sealed {
		t.Fatalf("seal status: %+v, %v", status, err)
	}

	write("sys/managed-keys/pkcs11/learn-managed-key", map[string]any{
		"library": "softhsm", "slot": strconv.FormatUint(p.Token.Slot, 10), "pin": p.Token.PIN, "key_label": "learn-managed-key",
		"mechanism": "0x0001", "key_bits": "2048", "allow_generate_key": "true", "allow_store_key": "true", "any_mount": "false"})
	s, err := logical.Read("sys/managed-keys/pkcs11/learn-managed-key")
	if err != nil || s == nil {
		t.Fatalf("read: %v, %v", s, err)
	}
	if s.Data["UUID"] == "" || s.Data["pin"] != "redacted" || s.Data["allow_generate_key"] != true {
		t.Errorf("the definition reads %v", s.Data)
	}
	write("sys/managed-keys/pkcs11/learn-managed-key/test/sign", nil)
	check.CA(t, p)

	if err := c.Sys().Mount("pki", &vault.MountInput{Type: "pki", Config: vault.MountConfigInput{MaxLeaseTTL: "8760h"}}); err != nil {
		t.Fatal(err)
	}
	keys := []string{"learn-managed-key"}
	if err := c.Sys().TuneMountAllowNil("pki", vault.TuneMountConfigInput{AllowedManagedKeys: &keys}); err != nil {
		t.Fatal(err)
	}
	mounts, err := c.Sys().ListMounts()
	if err != nil || mounts["pki/"] == nil || mounts["pki/"].Type != "pki" || !slices.Equal(mounts["pki/"].Config.AllowedManagedKeys, keys) {
		t.Errorf("mounts: %+v, %v", mounts["pki/"], err)
	}

	root := write("pki/root/generate/kms", map[string]any{"managed_key_name": "learn-managed-key", "common_name": "example.com", "ttl": "8760h"})
	write("pki/config/urls", map[string]any{"issuing_certificates": "http://127.0.0.1:8200/v1/pki/ca", "crl_distribution_points": "http://127.0.0.1:8200/v1/pki/crl"})
	write("pki/roles/example-dot-com", map[string]any{"allowed_domains": "example.com", "allow_subdomains": true, "max_ttl": "72h"})
	leaf := write("pki/issue/example-dot-com", map[string]any{"common_name": "test.example.com"})

	pair, err := tls.X509KeyPair([]byte(leaf.Data["certificate"].(string)), []byte(leaf.Data["private_key"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parse(t, root.Data["certificate"].(string)))
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: "test.example.com"}); err != nil {
		t.Error(err)
	}
	if !slices.Equal(cert.CRLDistributionPoints, []string{"http://127.0.0.1:8200/v1/pki/crl"}) {
		t.Errorf("CRL distribution points: %v", cert.CRLDistributionPoints)
	}
	list, err := logical.List("pki/certs")
	if err != nil || list == nil || !slices.Contains(list.Data["keys"].([]any), leaf.Data["serial_number"]) {
		t.Errorf("certs: %v, %v", list, err)
	}
	der, _ := pem.Decode([]byte(leaf.Data["private_key"].(string)))
	check.CA(t, p, string(der.Bytes))
}

// TestVaultClientRevokes revokes and reads CRLs with Vault's own Go client.
func TestVaultClientRevokes(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	logical := vaultClient(t, p.PKID).Logical()
	serial := p.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "www.example.com"}).String(t, "serial_number")
	if list, err := logical.List("pki/certs/revoked"); list != nil || err != nil {
		t.Errorf("nothing is revoked: %v, %v", list, err)
	}
	done, err := logical.Write("pki/revoke", map[string]any{"serial_number": strings.ToUpper(serial)})
	if err != nil || done.Data["state"] != "revoked" {
		t.Fatalf("revoke: %v, %v", done, err)
	}
	cert, err := logical.Read("pki/cert/" + serial)
	if err != nil || cert.Data["revocation_time"] != done.Data["revocation_time"] || cert.Data["revocation_time_rfc3339"] != done.Data["revocation_time_rfc3339"] || cert.Data["issuer_id"] == nil {
		t.Errorf("the revoked certificate reads %v, %v", cert, err)
	}
	list, err := logical.List("pki/certs/revoked")
	if err != nil || !slices.Equal(list.Data["keys"].([]any), []any{serial}) {
		t.Errorf("certs/revoked: %v, %v", list, err)
	}
	raw, err := logical.ReadRaw("pki/crl")
	if err != nil || raw.Header.Get("Content-Type") != "application/pkix-crl" {
		t.Fatalf("crl: %v, %v", raw, err)
	}
	defer raw.Body.Close()
	der, err := io.ReadAll(raw.Body)
	if err != nil {
		t.Fatal(err)
	}
	if crl, err := x509.ParseRevocationList(der); err != nil || len(crl.RevokedCertificateEntries) != 1 {
		t.Errorf("crl: %v, %v", crl, err)
	}
	config, err := logical.Write("pki/config/crl", map[string]any{"expiry": "24h", "auto_rebuild": "true", "enable_delta": "true"})
	if err != nil || config.Data["expiry"] != "24h" || config.Data["enable_delta"] != true || config.Data["auto_rebuild_grace_period"] != "12h" {
		t.Errorf("config/crl: %v, %v", config, err)
	}
	if s, err := logical.Read("pki/crl/rotate-delta"); err != nil || s.Data["success"] != true || len(s.Warnings) > 0 {
		t.Errorf("rotate-delta: %v, %v", s, err)
	}
	check.CA(t, p)
}

// TestVaultClientRoles writes, patches, lists and deletes roles with Vault's own
// Go client. A write replaces the whole role, a patch what it names.
func TestVaultClientRoles(t *testing.T) {
	p := daemon.Start(t)
	ca(t, p)
	logical := vaultClient(t, p.PKID).Logical()
	read := func(path string) map[string]any {
		t.Helper()
		s, err := logical.Read(path)
		if err != nil || s == nil {
			t.Fatalf("%s: %v, %v", path, s, err)
		}
		return s.Data
	}
	const path = "pki/roles/db"
	if s, err := logical.JSONMergePatch(t.Context(), path, map[string]any{"max_ttl": "1h"}); err == nil || !strings.Contains(err.Error(), "Unable to fetch role entry to patch") {
		t.Errorf("a patch of nothing: %v, %v", s, err)
	}
	wrote, err := logical.Write(path, map[string]any{"allowed_domains": []string{"db.example.com"}, "allow_bare_domains": true, "key_type": "ec", "max_ttl": "72h", "ou": "DB"})
	if err != nil || wrote.Data["key_bits"] != json.Number("256") {
		t.Fatalf("write: %+v, %v", wrote, err)
	}
	patched, err := logical.JSONMergePatch(t.Context(), path, map[string]any{"max_ttl": "1h", "key_type": "ed25519"})
	if err != nil {
		t.Fatal(err)
	}
	want := wrote.Data
	want["max_ttl"], want["key_type"], want["key_bits"], want["signature_bits"] = json.Number("3600"), "ed25519", json.Number("0"), json.Number("0")
	if got := read(path); !reflect.DeepEqual(got, want) || !reflect.DeepEqual(patched.Data, want) {
		t.Errorf("patched:\n got %v\nwant %v", got, want)
	}
	leaf, err := logical.Write("pki/issue/db", map[string]any{"common_name": "db.example.com", "ttl": "2h"})
	if err != nil || leaf.Data["private_key_type"] != "ed25519" || len(leaf.Warnings) != 1 {
		t.Errorf("issued under it: %+v, %v", leaf, err)
	}
	for _, bad := range []map[string]any{{"ttl": "2h"}, {"key_type": "dsa"}, {"allow_any_name": "perhaps"}} {
		if s, err := logical.JSONMergePatch(t.Context(), path, bad); err == nil {
			t.Errorf("%v: %+v", bad, s)
		}
	}
	if got := read(path); !reflect.DeepEqual(got, want) {
		t.Errorf("after patches that were refused: %v", got)
	}
	if a, err := p.PKID.Request("PATCH", path, map[string]any{"max_ttl": "1h"}); err != nil || a.Status != 415 {
		t.Errorf("a patch that is no merge patch: %v, %v", a, err)
	}
	if _, err := logical.Write(path, map[string]any{"allow_any_name": true}); err != nil {
		t.Fatal(err)
	}
	if got := read(path); got["max_ttl"] != json.Number("0") || len(got["ou"].([]any)) != 0 || got["key_type"] != "rsa" {
		t.Errorf("written anew, it keeps %v", got)
	}
	if list, err := logical.List("pki/roles"); err != nil || !slices.Equal(list.Data["keys"].([]any), []any{"db", "web"}) {
		t.Errorf("roles: %+v, %v", list, err)
	}
	for range 2 { // what is not there can be deleted
		if s, err := logical.Delete(path); s != nil || err != nil {
			t.Errorf("delete: %+v, %v", s, err)
		}
	}
	if s, err := logical.Read(path); s != nil || err != nil {
		t.Errorf("deleted, it reads %+v, %v", s, err)
	}
	if _, err := logical.Write("pki/issue/db", map[string]any{"common_name": "db.example.com"}); err == nil || !strings.Contains(err.Error(), "unknown role: db") {
		t.Errorf("issued under a role that is gone: %v", err)
	}
	check.CA(t, p)
}

// TestVaultClientErrors holds the statuses and words that Vault's client and
// what is built on it rely on.
func TestVaultClientErrors(t *testing.T) {
	p := daemon.Start(t)
	c := vaultClient(t, p.PKID)
	if s, err := c.Logical().Read("sys/managed-keys/pkcs11/none"); s != nil || err != nil {
		t.Errorf("what is not there reads as %v, %v", s, err)
	}
	if s, err := c.Logical().List("sys/managed-keys/pkcs11"); s != nil || err != nil {
		t.Errorf("an empty list is %v, %v", s, err)
	}
	for _, e := range []struct {
		path   string
		data   map[string]any
		status int
		words  string
	}{
		{"nowhere/issue/x", nil, 404, "no handler for route"},
		{"sys/managed-keys/gcpckms/x", map[string]any{"project": "p"}, 400, "unsupported managed key type"},
		{"sys/managed-keys/pkcs11/x", map[string]any{"library": "luna", "slot": 1, "pin": "1", "key_label": "x", "mechanism": "0x1"}, 400, "luna"},
	} {
		_, err := c.Logical().Write(e.path, e.data)
		answer, ok := err.(*vault.ResponseError)
		if !ok || answer.StatusCode != e.status || !strings.Contains(strings.Join(answer.Errors, "\n"), e.words) {
			t.Errorf("%s: %v, want %d with %q", e.path, err, e.status, e.words)
		}
	}
	c.SetToken("hvs.unknown")
	_, err := c.Logical().Read("sys/mounts")
	if answer, ok := err.(*vault.ResponseError); !ok || answer.StatusCode != 403 {
		t.Errorf("an unknown token: %v, want 403", err)
	}
}

// TestVaultClientHierarchy makes an intermediate and changes issuers with
// Vault's client, its merge patch among it.
func TestVaultClientHierarchy(t *testing.T) {
	p, csr := hierarchy(t)
	logical := vaultClient(t, p.PKID).Logical()
	signed, err := logical.Write("pki/root/sign-intermediate", map[string]any{"csr": csr, "common_name": "Mid", "ttl": "8760h", "format": "pem_bundle"})
	if err != nil {
		t.Fatal(err)
	}
	if chain := signed.Data["ca_chain"].([]any); len(chain) != 2 || signed.Data["certificate"] != chain[0].(string)+"\n"+chain[1].(string) {
		t.Errorf("the chain is %v", chain)
	}
	set, err := logical.Write("pki/intermediate/set-signed", map[string]any{"certificate": signed.Data["certificate"]})
	if err != nil || len(set.Data["imported_issuers"].([]any)) != 1 || len(set.Data["existing_issuers"].([]any)) != 1 {
		t.Fatalf("set-signed: %+v, %v", set, err)
	}
	id := set.Data["imported_issuers"].([]any)[0].(string)
	patched, err := logical.JSONMergePatch(t.Context(), "pki/issuer/"+id, map[string]any{"issuer_name": "mid", "usage": []string{"issuing-certificates"}})
	if err != nil || patched.Data["issuer_name"] != "mid" || patched.Data["usage"] != "read-only,issuing-certificates" {
		t.Fatalf("patch: %+v, %v", patched, err)
	}
	if s, err := logical.Write("pki/config/issuers", map[string]any{"default": "mid", "default_follows_latest_issuer": true}); err != nil || s.Data["default"] != id {
		t.Errorf("config/issuers: %+v, %v", s, err)
	}
	list, err := logical.List("pki/issuers")
	if err != nil || len(list.Data["keys"].([]any)) != 2 || list.Data["key_info"].(map[string]any)[id].(map[string]any)["is_default"] != true {
		t.Errorf("issuers: %+v, %v", list, err)
	}
	if s, err := logical.Write("pki/issuer/mid/revoke", nil); err != nil || s.Data["revoked"] != true || s.Data["revocation_time_rfc3339"] == "" {
		t.Errorf("revoke: %+v, %v", s, err)
	}
	if s, err := logical.Delete("pki/issuer/mid"); err != nil || len(s.Warnings) != 1 {
		t.Errorf("delete: %+v, %v", s, err)
	}
	if s, err := logical.Delete("pki/key/mid"); s != nil || err != nil {
		t.Errorf("delete key: %+v, %v", s, err)
	}
	check.CA(t, p)
}
