package test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"

	vault "github.com/hashicorp/vault/api"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
)

// terraform sends what the resources of Terraform's Vault provider send, with
// the client that the provider is built on: what is not set in a plan goes as "",
// false or 0, and each write is followed by a read.
type terraform struct {
	t *testing.T
	*vault.Client
}

func (tf terraform) put(path string, data map[string]any) map[string]any {
	tf.t.Helper()
	s, err := tf.Logical().Write(path, data)
	if err != nil {
		tf.t.Fatalf("PUT %s: %v", path, err)
	}
	if s == nil {
		return nil
	}
	return s.Data
}

func (tf terraform) get(path string) map[string]any {
	tf.t.Helper()
	s, err := tf.Logical().Read(path)
	if err != nil || s == nil {
		tf.t.Fatalf("GET %s: %v, %v", path, s, err)
	}
	return s.Data
}

func (tf terraform) remove(path string) {
	tf.t.Helper()
	if _, err := tf.Logical().Delete(path); err != nil {
		tf.t.Fatalf("DELETE %s: %v", path, err)
	}
	if s, err := tf.Logical().Read(path); s != nil && err == nil {
		tf.t.Errorf("%s is still there: %v", path, s.Data)
	}
}

// drift complains of each setting that does not read as it was written: the
// next plan would want to change it.
func (tf terraform) drift(path string, wrote map[string]any) {
	tf.t.Helper()
	got := tf.get(path)
	for name, want := range wrote {
		have, err := json.Marshal(got[name])
		if err != nil {
			tf.t.Fatal(err)
		}
		wanted, err := json.Marshal(want)
		if err != nil {
			tf.t.Fatal(err)
		}
		if string(have) != string(wanted) {
			tf.t.Errorf("%s: %s is %s, %s was written", path, name, have, wanted)
		}
	}
}

// noSubject is the subject of a resource that sets the common name alone.
var noSubject = map[string]any{"ou": "", "organization": "", "country": "", "locality": "", "province": "", "street_address": "", "postal_code": ""}

func with(of ...map[string]any) map[string]any {
	out := map[string]any{}
	for _, m := range of {
		maps.Copy(out, m)
	}
	return out
}

// TestTerraform applies a plan with a root, an intermediate, a role and a
// certificate, and destroys it.
func TestTerraform(t *testing.T) {
	p := daemon.Start(t)
	tf := terraform{t, vaultClient(t, p.PKID)}
	type body = map[string]any

	// vault_managed_keys.
	for _, kind := range []string{"awskms", "azurekeyvault", "gcpckms", "pkcs11"} {
		_, err := tf.Logical().List("sys/managed-keys/" + kind)
		if err != nil && !strings.Contains(err.Error(), "unsupported managed key type") {
			t.Errorf("LIST sys/managed-keys/%s: %v, which ends a run", kind, err)
		}
	}
	for _, name := range []string{"root", "mid"} {
		tf.put("sys/managed-keys/pkcs11/"+name, body{
			"library": "softhsm", "slot": strconv.FormatUint(p.Token.Slot, 10), "token_label": "", "pin": p.Token.PIN, "key_label": name, "key_id": "",
			"mechanism": "0x1041", "curve": "P256", "key_bits": "", "force_rw_session": "false", "allow_generate_key": true, "allow_replace_key": false,
			"allow_store_key": false, "any_mount": true,
		})
		if id, _ := tf.get("sys/managed-keys/pkcs11/" + name)["UUID"].(string); len(id) != 36 {
			t.Errorf("%s has the UUID %q", name, id)
		}
	}

	// vault_mount.
	for _, path := range []string{"pki", "pki_int"} {
		if err := tf.Sys().Mount(path, &vault.MountInput{Type: "pki", Description: "by a plan", Options: map[string]string{},
			Config: vault.MountConfigInput{DefaultLeaseTTL: "3600s", MaxLeaseTTL: "315360000s"}}); err != nil {
			t.Fatal(err)
		}
		if m, err := tf.Sys().GetMount(path); err != nil || m.Config.MaxLeaseTTL != 315360000 || m.Description != "by a plan" {
			t.Errorf("%s reads %+v, %v", path, m, err)
		}
	}

	// vault_pki_secret_backend_root_cert, _crl_config, _config_urls, _issuer.
	cert := body{"format": "pem", "private_key_format": "der", "exclude_cn_from_sans": false, "max_path_length": -1}
	root := tf.put("pki/root/generate/kms", with(cert, noSubject, body{"common_name": "Root", "ttl": "87600h", "managed_key_name": "root", "managed_key_id": ""}))
	crl := body{"expiry": "72h", "disable": false, "ocsp_disable": false, "ocsp_expiry": "12h", "auto_rebuild": true, "auto_rebuild_grace_period": "12h",
		"enable_delta": true, "delta_rebuild_interval": "15m"}
	tf.put("pki/config/crl", crl)
	tf.drift("pki/config/crl", crl)
	urls := body{"issuing_certificates": []string{"http://ca.example.com/ca"}, "crl_distribution_points": []string{"http://ca.example.com/crl"}, "ocsp_servers": []string{}, "enable_templating": false}
	tf.put("pki/config/urls", urls)
	tf.drift("pki/config/urls", urls)
	issuer := "pki/issuer/" + root["issuer_id"].(string)
	tf.get(issuer)
	change := body{"issuer_name": "root", "leaf_not_after_behavior": "truncate", "usage": "read-only,issuing-certificates,crl-signing"}
	if _, err := tf.Logical().JSONMergePatch(t.Context(), issuer, change); err != nil {
		t.Fatal(err)
	}
	tf.drift(issuer, change)

	// vault_pki_secret_backend_intermediate_cert_request, _root_sign_intermediate,
	// _intermediate_set_signed, _config_issuers.
	csr := tf.put("pki_int/intermediate/generate/kms", with(noSubject, body{"common_name": "Mid", "format": "pem", "private_key_format": "der",
		"exclude_cn_from_sans": false, "managed_key_name": "mid", "add_basic_constraints": false}))
	signed := tf.put("pki/root/sign-intermediate", with(cert, noSubject, body{"csr": csr["csr"], "common_name": "Mid", "ttl": "43800h", "use_csr_values": false}))
	if signed["issuing_ca"] != root["certificate"] || len(signed["ca_chain"].([]any)) != 2 || signed["serial_number"] == "" {
		t.Errorf("sign-intermediate answers %v", signed)
	}
	set := tf.put("pki_int/intermediate/set-signed", body{"certificate": signed["certificate"].(string) + "\n" + signed["issuing_ca"].(string)})
	mid := set["imported_issuers"].([]any)[0].(string)
	tf.put("pki_int/config/issuers", body{"default": mid, "default_follows_latest_issuer": false})
	tf.drift("pki_int/config/issuers", body{"default": mid, "default_follows_latest_issuer": false})

	// vault_pki_secret_backend_role.
	role := body{
		"ttl": 3600, "max_ttl": 86400, "allow_localhost": true, "allowed_domains": []string{"example.com"}, "allowed_domains_template": false,
		"allow_bare_domains": false, "allow_subdomains": true, "allow_glob_domains": false, "allow_any_name": false, "enforce_hostnames": true,
		"allow_ip_sans": true, "allow_wildcard_certificates": false, "server_flag": true, "client_flag": true, "code_signing_flag": false,
		"email_protection_flag": false, "key_type": "ec", "key_bits": 256, "signature_bits": 256, "key_usage": []string{"DigitalSignature"},
		"use_csr_common_name": true, "use_csr_sans": true, "ou": []string{"Ops"}, "organization": []string{"Example"}, "generate_lease": false,
		"no_store": false, "require_cn": true, "basic_constraints_valid_for_non_ca": false, "not_before_duration": 30, "issuer_ref": "default",
		"cn_validations": []string{"email", "hostname"}, "serial_number_source": "json-csr", "no_store_metadata": false,
	}
	sent := with(role)
	sent["ttl"], sent["max_ttl"], sent["not_before_duration"] = "3600", "86400", "30s"
	sent["policy_identifiers"] = `[{"oid":"1.3.6.1.4.1.1.1","cps":"https://example.com/cps"}]`
	tf.put("pki_int/roles/web", sent)
	tf.drift("pki_int/roles/web", role)
	for _, list := range []string{"allowed_domains", "key_usage", "ext_key_usage", "allowed_serial_numbers", "allowed_user_ids", "policy_identifiers"} {
		if _, ok := tf.get("pki_int/roles/web")[list].([]any); !ok {
			t.Errorf("the role's %s is no list, which the provider takes for granted", list)
		}
	}

	// vault_pki_secret_backend_cert, _sign, _crl; revoked when it is destroyed.
	leaf := tf.put("pki_int/issue/web", body{"common_name": "a.example.com", "ttl": "", "format": "pem", "private_key_format": "der",
		"exclude_cn_from_sans": false, "alt_names": "b.example.com", "user_ids": ""})
	if _, err := leaf["expiration"].(json.Number).Int64(); err != nil || leaf["private_key_type"] != "ec" || len(leaf["ca_chain"].([]any)) != 2 {
		t.Errorf("issue answers %v", leaf)
	}
	tf.put("pki_int/sign/web", body{"csr": request(t, "c.example.com"), "common_name": "c.example.com", "ttl": "", "format": "pem", "exclude_cn_from_sans": false})
	tf.get("pki_int/crl/rotate")
	tf.put("pki_int/revoke", body{"serial_number": leaf["serial_number"]})

	// Destroyed from the leaves up.
	tf.remove("pki_int/roles/web")
	tf.remove("pki_int/issuer/" + mid)
	tf.remove("pki/issuer/root")
	if _, err := tf.Logical().Delete("pki/root"); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"pki_int", "pki"} {
		if err := tf.Sys().Unmount(path); err != nil {
			t.Error(err)
		}
		if _, err := tf.Sys().GetMount(path); err == nil || !strings.Contains(err.Error(), "No secret engine mount at "+path) {
			t.Errorf("%s, unmounted: %v", path, err)
		}
	}
	for _, name := range []string{"root", "mid"} {
		tf.remove("sys/managed-keys/pkcs11/" + name)
	}
	if a := p.PKID.Must(t, "GET", "sys/health", nil); a.Status != http.StatusOK {
		t.Errorf("sys/health: %d", a.Status)
	}
	check.CA(t, p)
}
