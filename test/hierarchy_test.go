package test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
)

// managedKey defines a managed key that any mount may use and that is made when
// it is needed.
func managedKey(t *testing.T, p *daemon.Pair, name, mechanism string, more map[string]any) {
	t.Helper()
	d := map[string]any{"library": "softhsm", "token_label": p.Token.Label, "pin": p.Token.PIN, "key_label": name,
		"mechanism": mechanism, "allow_generate_key": true, "any_mount": true}
	for k, v := range more {
		d[k] = v
	}
	p.PKID.Must(t, "POST", "sys/managed-keys/pkcs11/"+name, d)
}

// hierarchy is a mount "pki" with a root of the managed key "root", and a CSR for
// the managed key "mid".
func hierarchy(t *testing.T) (p *daemon.Pair, csr string) {
	t.Helper()
	p = daemon.Start(t)
	for _, name := range []string{"root", "mid"} {
		managedKey(t, p, name, "0x1041", map[string]any{"curve": "P256"})
	}
	p.PKID.Must(t, "POST", "sys/mounts/pki", map[string]any{"type": "pki", "config": map[string]any{"max_lease_ttl": "87600h"}})
	p.PKID.Must(t, "POST", "pki/root/generate/kms", map[string]any{"managed_key_name": "root", "common_name": "Root", "issuer_name": "root", "ttl": "87600h"})
	answer := p.PKID.Must(t, "POST", "pki/intermediate/generate/kms", map[string]any{"managed_key_name": "mid", "common_name": "Mid", "key_name": "mid"})
	return p, answer.String(t, "csr")
}

// TestHierarchyRefuses: each mistake is a 400 that names what is wrong, and
// changes nothing.
func TestHierarchyRefuses(t *testing.T) {
	p, csr := hierarchy(t)
	root := p.PKID.Must(t, "GET", "pki/issuer/root/json", nil).String(t, "certificate")
	many := strings.Repeat("a.example.com,", 10_000)
	before := check.Certificates(t, p.PKID, "pki/")
	type body = map[string]any
	p.PKID.Must(t, "POST", "pki/roles/lost", body{"allow_any_name": true, "issuer_ref": "nope"})
	for _, c := range []struct {
		method, path string
		body         any
		words        string
	}{
		{"POST", "pki/issue/lost", body{"common_name": "x"}, "unable to find PKI issuer for reference: nope"},
		{"POST", "pki/intermediate/generate/exported", body{"common_name": "x"}, "refused"},
		{"POST", "pki/intermediate/generate/strange", body{"common_name": "x"}, "unknown type"},
		{"POST", "pki/intermediate/generate/existing", body{"common_name": "x"}, "missing argument key_ref"},
		{"POST", "pki/intermediate/generate/existing", body{"common_name": "x", "key_ref": "nope"}, "unable to find PKI key for reference: nope"},
		{"POST", "pki/intermediate/generate/kms", body{"common_name": "x"}, "managed_key_name"},
		{"POST", "pki/intermediate/generate/kms", body{"common_name": "x", "managed_key_name": "root", "key_type": "ec"}, "key_type nor key_bits"},
		{"POST", "pki/intermediate/generate/kms", body{"common_name": "x", "managed_key_name": "none"}, "none"},
		{"POST", "pki/intermediate/generate/kms", body{"common_name": "x", "managed_key_name": "root", "key_name": "mid"}, "key name already in use"},
		{"POST", "pki/intermediate/generate/kms", body{"alt_names": many, "managed_key_name": "root"}, "names are asked for"},
		{"POST", "pki/intermediate/generate/kms", body{"add_basic_constraints": "perhaps", "managed_key_name": "root"}, "add_basic_constraints"},
		{"POST", "pki/intermediate/generate/kms", body{"common_name": "x", "managed_key_name": "root", "format": "xml"}, "format"},
		{"POST", "pki/intermediate/cross-sign", body{"common_name": "x"}, "missing argument key_ref"},
		{"POST", "pki/root/sign-intermediate", body{}, `"csr" is empty`},
		{"POST", "pki/root/sign-intermediate", body{"csr": "garbage"}, "csr contains no data"},
		{"POST", "pki/root/sign-intermediate", body{"csr": csr + strings.Repeat("x", 1<<20)}, "csr is longer"},
		{"POST", "pki/root/sign-intermediate", body{"csr": csr, "ttl": "-1h"}, "ttl"},
		{"POST", "pki/root/sign-intermediate", body{"csr": csr, "ttl": "1h", "not_after": "2030-01-01T00:00:00Z"}, "Either ttl or not_after"},
		{"POST", "pki/root/sign-intermediate", body{"csr": csr, "not_after": "2001-01-01T00:00:00Z"}, "Not After"},
		{"POST", "pki/root/sign-intermediate", body{"csr": csr, "max_path_length": "1.5"}, "max_path_length"},
		{"POST", "pki/root/sign-intermediate", body{"csr": csr, "max_path_length": 1 << 40}, "max_path_length"},
		{"POST", "pki/root/sign-intermediate", body{"csr": csr, "permitted_dns_domains": many}, "names are asked for"},
		{"POST", "pki/root/sign-intermediate", body{"csr": csr, "excluded_ip_ranges": "10.0.0.0"}, "excluded_ip_ranges"},
		{"POST", "pki/root/sign-intermediate", body{"csr": csr, "skid": "no hex"}, "skid"},
		{"POST", "pki/root/sign-intermediate", body{"csr": csr, "enforce_leaf_not_after_behavior": true, "not_after": "2100-01-01T00:00:00Z"}, "beyond the expiration"},
		{"POST", "pki/issuer/nope/sign-intermediate", body{"csr": csr}, "unable to find PKI issuer for reference: nope"},
		{"POST", "pki/root/sign-self-issued", body{}, "certificate could not be PEM-decoded"},
		{"POST", "pki/root/sign-self-issued", body{"certificate": root}, "the issuer's own"},
		{"POST", "pki/root/sign-self-issued", body{"certificate": root + root}, "after the first PEM block"},
		{"POST", "pki/issuers/generate/root/kms", body{"managed_key_name": "root", "common_name": "x", "issuer_name": "default"}, "reserved keyword"},
		{"POST", "pki/issuers/generate/root/kms", body{"managed_key_name": "root"}, "must have a subject"},
		{"POST", "pki/root/rotate/kms", body{"managed_key_name": "root", "common_name": "x", "issuer_name": "a b"}, "invalid characters"},
		{"POST", "pki/root/replace", body{"default": "nope"}, "nope"},
		{"POST", "pki/config/issuers", body{"default": "default"}, "not to the default"},
		{"POST", "pki/issuers/import/cert", body{}, "pem_bundle"},
		{"POST", "pki/config/ca", body{"pem_bundle": "x"}, "too short"},
		{"POST", "pki/config/ca", body{"pem_bundle": strings.Repeat("x", 2<<20)}, "octets"},
		{"POST", "pki/config/ca", body{"pem_bundle": strings.Repeat("x", 100)}, "no PEM block"},
		{"POST", "pki/config/ca", body{"pem_bundle": []int{1}}, "pem_bundle"},
		{"POST", "pki/issuer/root", body{"leaf_not_after_behavior": "never"}, "leaf_not_after_behavior"},
		{"POST", "pki/issuer/root", body{"usage": "everything"}, "usage"},
		{"POST", "pki/issuer/root", body{"revocation_signature_algorithm": "SHA256WithRSA"}, "cannot sign with SHA256WithRSA"},
		{"POST", "pki/issuer/root", body{"revocation_signature_algorithm": "ECDSAWithSHA384"}, "ECDSA-SHA256 only"},
		{"POST", "pki/issuer/root", body{"revocation_signature_algorithm": "MD5"}, "unknown signature algorithm"},
		{"POST", "pki/issuer/root", body{"ocsp_servers": "not a url"}, "ocsp_servers"},
		{"POST", "pki/issuer/root", body{"manual_chain": "self,self"}, "manual_chain"},
		{"POST", "pki/issuer/root", body{"enable_aia_url_templating": true, "ocsp_servers": "http://a/{{nothing}}"}, "{{nothing"},
		{"POST", "pki/issuer/nope", body{}, "nope"},
		{"POST", "pki/issuer/nope/revoke", nil, "nope"},
		{"POST", "pki/config/urls", body{"crl_distribution_points": strings.Repeat("http://a/b,", 30)}, "crl_distribution_points has 30 URLs"},
		{"POST", "pki/config/urls", body{"issuing_certificates": "http://a/{{cluster_path}}"}, "issuing_certificates"},
		{"POST", "pki/config/cluster", body{"path": "nowhere"}, "path"},
		{"POST", "pki/config/cluster", body{"aia_path": "http://a/{{issuer_id}}"}, "aia_path"},
		{"POST", "pki/keys/generate/exported", body{}, "refused"},
		{"POST", "pki/keys/generate/existing", body{"key_ref": "mid"}, "unknown type"},
		{"POST", "pki/keys/generate/internal", body{"key_type": "ec", "key_bits": 100}, "100"},
		{"POST", "pki/keys/import", body{"pem_bundle": "x"}, "refused"},
		{"POST", "pki/key/mid", body{"key_name": "default"}, "reserved keyword"},
		{"POST", "pki/key/nope", body{"key_name": "x"}, "nope"},
		{"DELETE", "pki/key/default", nil, "Key in Use by Issuer"},
	} {
		t.Run(fmt.Sprint(c.method, c.path, c.words), func(t *testing.T) {
			p.PKID.Refused(t, c.method, c.path, c.body, 400, c.words)
		})
	}
	if now := check.Certificates(t, p.PKID, "pki/"); now != before {
		t.Errorf("%d certificates, there were %d", now, before)
	}
	if n := len(p.PKID.Must(t, "LIST", "pki/keys", nil).Data["keys"].([]any)); n != 2 {
		t.Errorf("%d keys, want 2", n)
	}
	check.CA(t, p)
}

// TestRevokedIssuer: an intermediate whose issuer is in the same mount is revoked
// there, too; it issues nothing any more, after a restart neither.
func TestRevokedIssuer(t *testing.T) {
	p, csr := hierarchy(t)
	made := p.PKID.Must(t, "POST", "pki/issuer/root/sign-intermediate", map[string]any{"csr": csr, "ttl": "8760h", "common_name": "Mid"})
	imported := p.PKID.Must(t, "POST", "pki/intermediate/set-signed", map[string]any{"certificate": made.String(t, "certificate")})
	id := imported.Data["imported_issuers"].([]any)[0].(string)
	if key := imported.Data["mapping"].(map[string]any)[id]; key == "" {
		t.Error("the issuer is not linked to its key")
	}
	// The same certificate again is the same issuer.
	again := p.PKID.Must(t, "POST", "pki/config/ca", map[string]any{"pem_bundle": made.String(t, "certificate")})
	if again.Data["imported_issuers"] != nil || again.Data["existing_issuers"].([]any)[0] != id {
		t.Errorf("imported twice: %s", again.Body)
	}
	p.PKID.Must(t, "POST", "pki/roles/web", map[string]any{"allow_any_name": true, "key_type": "ec", "issuer_ref": id})
	p.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "a.example.com"})
	// Which chain somebody has chosen for it does not say who has signed it.
	p.PKID.Must(t, "POST", "pki/issuer/"+id, map[string]any{"manual_chain": "self"})
	p.PKID.Must(t, "POST", "pki/issuer/"+id+"/revoke", nil)
	if serials := p.PKID.Must(t, "LIST", "pki/certs/revoked", nil).Data["keys"]; !slices.Contains(serials.([]any), made.Data["serial_number"]) {
		t.Errorf("revoked are %v, want %v among them", serials, made.Data["serial_number"])
	}
	first := p.PKID.Must(t, "POST", "pki/issuer/"+id+"/revoke", nil)
	p.PKID.Restart()
	second := p.PKID.Must(t, "POST", "pki/issuer/"+id+"/revoke", nil)
	if first.Data["revocation_time"] != second.Data["revocation_time"] || second.Data["revoked"] != true {
		t.Errorf("revoked again: %s, then %s", first.Body, second.Body)
	}
	p.PKID.Refused(t, "POST", "pki/issue/web", map[string]any{"common_name": "a.example.com"}, 400, "requested usage issuing-certificates")
	p.PKID.Refused(t, "POST", "pki/issuer/"+id+"/sign-intermediate", map[string]any{"csr": csr}, 400, "requested usage issuing-certificates")
	deleted := p.PKID.Must(t, "DELETE", "pki/issuer/"+id, nil)
	if !strings.Contains(strings.Join(deleted.Warnings, "\n"), "Role web") {
		t.Errorf("deleting an issuer that a role has warns of %q", deleted.Warnings)
	}
	if p.PKID.Must(t, "DELETE", "pki/issuer/"+id, nil).Status != 204 {
		t.Error("deleting what is not there is not 204")
	}
}

// TestOneName: of many roots of one name that are asked for at once there is one,
// and of the others nothing.
func TestOneName(t *testing.T) {
	p, _ := hierarchy(t)
	var made, refused int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			a, err := p.PKID.Request("POST", "pki/root/generate/existing", map[string]any{
				"key_ref": "mid", "common_name": "Same", "issuer_name": "same", "ttl": "8760h"})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case a.Status == 200:
				made++
			case a.Status == 400 && strings.Contains(a.Errors[0], "issuer name already in use"):
				refused++
			default:
				t.Errorf("status %d: %s", a.Status, a.Body)
			}
		})
	}
	wg.Wait()
	if made != 1 || refused != 7 || check.Certificates(t, p.PKID, "pki/") != 2 {
		t.Errorf("%d made, %d refused", made, refused)
	}
	check.CA(t, p)
}

// TestHierarchyWithoutHSMD: while hsmd is away nothing that needs a key is done
// or half done, and a certificate without one is imported.
func TestHierarchyWithoutHSMD(t *testing.T) {
	t.Parallel() // it waits, mostly
	p, csr := hierarchy(t)
	foreign := p.PKID.Must(t, "POST", "pki/root/sign-intermediate", map[string]any{"csr": csr, "ttl": "8760h"}).String(t, "certificate")
	p.PKID.Must(t, "POST", "sys/mounts/other", map[string]any{"type": "pki"})
	before := check.Certificates(t, p.PKID, "pki/")
	p.HSMD.Stop()
	for _, path := range []string{"pki/root/sign-intermediate", "pki/root/generate/existing", "pki/intermediate/generate/existing"} {
		a := p.PKID.Refused(t, "POST", path, map[string]any{"csr": csr, "key_ref": "default", "common_name": "x", "ttl": "1h"}, 503, "")
		if a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
	imported := p.PKID.Must(t, "POST", "other/config/ca", map[string]any{"pem_bundle": foreign})
	if !strings.Contains(strings.Join(imported.Warnings, "\n"), "could not be told") || imported.Data["imported_keys"] != nil {
		t.Errorf("imported while hsmd is away: %s", imported.Body)
	}
	p.HSMD.Start()
	again := p.PKID.Must(t, "POST", "other/config/ca", map[string]any{"pem_bundle": foreign})
	for issuer, key := range again.Data["mapping"].(map[string]any) {
		if key == "" || again.Data["existing_issuers"].([]any)[0] != issuer {
			t.Errorf("imported again: %s", again.Body)
		}
	}
	if now := check.Certificates(t, p.PKID, "pki/"); now != before {
		t.Errorf("%d certificates, there were %d", now, before)
	}
	check.CA(t, p)
}

// TestEnormousValues: of a value that is far too long the answer names the
// parameter, and repeats a part at most.
func TestEnormousValues(t *testing.T) {
	p, csr := hierarchy(t)
	long := strings.Repeat("a", 300_000)
	type body = map[string]any
	key := func(field string) body {
		d := definition(p, "long")
		d[field] = long
		return d
	}
	for _, c := range []struct {
		path  string
		body  body
		words string
	}{
		{"pki/roles/r", body{"ttl": long}, `field "ttl"`},
		{"pki/roles/r", body{"not_after": long}, "not_after: "},
		{"pki/roles/r", body{"lint": long}, "lint: unknown mode"},
		{"pki/config/keys", body{"default": long}, "unable to find PKI key for reference: a"},
		{"pki/root/generate/kms", body{"common_name": "x", "managed_key_name": long}, "managed_key_name: a value of 300000 octets"},
		{"pki/keys/generate/kms", body{"managed_key_id": long}, "managed_key_id: a value of 300000 octets"},
		{"pki/root/sign-intermediate", body{"csr": csr, "max_path_length": long}, `field "max_path_length"`},
		{"sys/managed-keys/pkcs11/long", key("curve"), "curve: a value of 300000 octets"},
		{"sys/managed-keys/pkcs11/long", key("pin"), "pin: a value of 300000 octets"},
		{"sys/managed-keys/pkcs11/long", key("library"), "library: a value of 300000 octets"},
	} {
		a := p.PKID.Refused(t, "POST", c.path, c.body, 400, c.words)
		if n := len(a.Body); n > 10_000 {
			t.Errorf("%s, %q: an answer of %d octets", c.path, c.words, n)
		}
	}
	if n := len(p.PKID.Log()); n > 300_000 {
		t.Errorf("the log has %d octets", n)
	}
}
