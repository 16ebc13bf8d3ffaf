package api_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// TestParameters: the forms in which clients send them, and what is said of
// those that cannot be read: the name, and what is wrong.
func TestParameters(t *testing.T) {
	s := start(t)
	s.ca(t)
	for _, c := range []struct {
		path, body string
		status     int
		says       string
	}{
		{"pki/roles/r", `{"allow_any_name":true,"ttl":3600,"max_ttl":"2h","key_bits":256,"key_type":"ec"}`, 200, ""},
		{"pki/roles/r", `{"allow_any_name":"true","ttl":"3600","max_ttl":"2h","key_bits":"256","key_type":"ec","allowed_domains":["a","b"]}`, 200, ""},
		{"pki/roles/r", "allow_any_name=true&ttl=1h&key_type=ec&allowed_domains=a&allowed_domains=b", 200, ""},
		{"pki/roles/r", "", 200, ""},
		{"pki/roles/r", "null", 200, ""},
		{"pki/roles/r", "  {}\n", 200, ""},
		{"pki/roles/r", `{"zzz":1,"allowed_domains":"a"}`, 200, "unrecognized parameters: [zzz]"},
		{"pki/roles/r", `{"name":"other"}`, 200, "replaced the value of these parameters"},
		{"pki/roles/r", `{"ttl":"soon"}`, 400, `"ttl"`},
		{"pki/roles/r", `{"ttl":-1}`, 400, `"ttl"`},
		{"pki/roles/r", `{"ttl":"2h","max_ttl":"1h"}`, 400, `"max_ttl"`},
		{"pki/roles/r", `{"allow_any_name":"perhaps"}`, 400, `"allow_any_name"`},
		{"pki/roles/r", `{"key_bits":"many"}`, 400, `"key_bits"`},
		{"pki/roles/r", `{"allowed_domains":{"a":1}}`, 400, `"allowed_domains"`},
		{"pki/roles/r", `{"allowed_domains":[["a"]]}`, 400, `"allowed_domains"`},
		{"pki/roles/r", `{"not_after":"tomorrow"}`, 400, "not_after"},
		{"pki/roles/r", `{"ttl":1,"ttl":2}`, 400, `"ttl" stands there twice`},
		{"pki/roles/r", `{"ttl":1}{"ttl":2}`, 400, "something follows"},
		{"pki/roles/r", `{"ttl":`, 400, "failed to parse JSON input: unexpected end"},
		{"pki/roles/r", `["ttl"]`, 400, "expected an object"},
		{"pki/roles/r", `"ttl"`, 400, "expected an object"},
		{"pki/roles/r", strings.Repeat(`{"a":`, 40), 400, "nested deeper"},
		{"pki/roles/r", "ttl=%zz", 400, "failed to parse form input"},
		{"pki/roles/a%20b", `{}`, 400, "name"},
		{"pki/issue/web", `{"common_name":"a.example.com","format":"zip"}`, 400, `"format"`},
		{"pki/issue/web", `{"common_name":"a.example.com","private_key_format":"zip"}`, 400, `"private_key_format"`},
		{"pki/issue/web", `{"common_name":"a.example.com","not_after":"never"}`, 400, "not_after"},
		{"pki/issue/web", `{"common_name":"a.example.com","ip_sans":"1.2.3"}`, 400, `"1.2.3"`},
		{"pki/sign/web", `{"common_name":"a.example.com"}`, 400, `"csr" is empty`},
		{"sys/mounts/m", `{}`, 400, "plugin not found"},
		{"sys/mounts/m", `{"type":"pki","config":"x"}`, 400, `"config"`},
		{"sys/mounts/m", `{"type":"pki","config":{"max_lease_ttl":"soon"}}`, 400, `"max_lease_ttl"`},
		{"sys/mounts/m", `{"type":"pki","plugin_version":"v1"}`, 400, "plugin_version"},
		{"sys/mounts/pki", `{"type":"pki"}`, 400, "path is already in use at pki/"},
		{"sys/mounts/pki/below", `{"type":"pki"}`, 400, "path is already in use at pki/"},
		{"sys/mounts/sys/x", `{"type":"pki"}`, 400, "reserved"},
		{"sys/mounts/pki/tune", `{"max_lease_ttl":"3000h","zzz":1}`, 200, "unrecognized parameters: [zzz]"},
		{"sys/mounts/pki/tune", `{"max_lease_ttl":"system"}`, 204, ""},
		{"sys/mounts/none/tune", `{}`, 400, "No secret engine mount at none/"},
		{"sys/remount", `{"from":"pki"}`, 400, "'from' and 'to'"},
		{"sys/capabilities-self", `{}`, 400, "'paths'"},
		{"pki/config/urls", `{"ocsp_servers":"here"}`, 400, "ocsp_servers"},
		{"pki/config/issuers", `{"default":"none"}`, 400, "none"},
		{"pki/certs", "", 405, ""},
	} {
		got := s.ask(t, "POST", c.path, c.body)
		if got.Status != c.status || !got.says(c.says) {
			t.Errorf("POST %s %.80s: %d %.200s, want %d with %q", c.path, c.body, got.Status, got.Body, c.status, c.says)
		}
	}
	for path, says := range map[string]string{"pki/cert/nonsense": "serial number", "pki/cert/0g/raw": "serial number", "pki/certs?list=true&limit=-1": "limit", "pki/certs?list=true&after=zz": "after"} {
		if got := s.ask(t, "GET", path, ""); got.Status != 400 || !got.says(says) {
			t.Errorf("GET %s: %d %s, want 400 with %q", path, got.Status, got.Body, says)
		}
	}
	if got := s.ask(t, "GET", "pki/cert/00", ""); got.Status != http.StatusNotFound {
		t.Errorf("GET pki/cert/00: %d", got.Status)
	}
}

// TestRefusedRootMakesNoKey: a request that cannot become a root leaves nothing
// in the HSM.
func TestRefusedRootMakesNoKey(t *testing.T) {
	s := start(t)
	s.ca(t)
	s.do(t, "POST", "pki/root/generate/internal", `{"common_name":"Second","key_type":"ec","issuer_name":"second","key_name":"second"}`)
	before := s.token.Util(t, "--show-slots")
	count := s.objects(t)
	for _, c := range []struct{ path, body, says string }{
		{"pki/root/generate/internal", `{"common_name":"R","key_type":"ec","permitted_dns_domains":"a..b"}`, "a..b"},
		{"pki/root/generate/internal", `{"common_name":"R","key_type":"ec","permitted_ip_ranges":"1.2.3.4/99"}`, "permitted_ip_ranges"},
		{"pki/root/generate/internal", `{"common_name":"R","key_type":"ec","key_name":"second"}`, "key name already in use"},
		{"pki/root/generate/internal", `{"common_name":"R","key_type":"ec","issuer_name":"second"}`, "issuer name already in use"},
		{"pki/root/generate/internal", `{"common_name":"R","key_type":"ec","issuer_name":"a b"}`, "issuer name"},
		{"pki/root/generate/internal", `{"common_name":"R","key_type":"ec","max_path_length":-2}`, "max_path_length"},
		{"pki/root/generate/internal", `{"common_name":"R","key_type":"ec","uri_sans":"%"}`, "URI"},
		{"pki/root/generate/internal", `{"common_name":"R","key_type":"ec","not_after":"2001-01-01T00:00:00Z"}`, ""},
		{"pki/root/generate/internal", `{"key_type":"ec"}`, "subject"},
		{"pki/root/generate/internal", `{"common_name":"R","key_type":"rsa","key_bits":1024}`, "1024"},
		{"pki/root/generate/internal", `{"common_name":"R","key_type":"dsa"}`, "dsa"},
		{"pki/root/generate/internal", `{"common_name":"R","format":"zip"}`, `"format"`},
		{"pki/root/generate/exported", `{"common_name":"R"}`, "can leave"},
		{"pki/root/generate/imaginary", `{"common_name":"R"}`, "imaginary"},
		{"pki/root/generate/kms", `{"common_name":"R"}`, "managed_key_name"},
		{"pki/root/generate/kms", `{"common_name":"R","managed_key_name":"k","key_bits":256}`, "key_type nor key_bits"},
		{"pki/root/generate/kms", `{"common_name":"R","managed_key_name":"none"}`, `"none"`},
		{"pki/root/generate/existing", `{"common_name":"R"}`, "key_ref"},
		{"pki/root/generate/existing", `{"common_name":"R","key_ref":"none"}`, "none"},
	} {
		if got := s.ask(t, "POST", c.path, c.body); got.Status != 400 || !got.says(c.says) {
			t.Errorf("POST %s %s: %d %s, want 400 with %q", c.path, c.body, got.Status, got.Body, c.says)
		}
	}
	if got := s.objects(t); got != count || before != s.token.Util(t, "--show-slots") {
		t.Errorf("the token has %d objects, %d before", got, count)
	}
	got := s.do(t, "POST", "pki/root/generate/existing", `{"common_name":"Third","key_ref":"second","key_name":"third"}`)
	if !strings.Contains(strings.Join(got.Warnings, "\n"), `in this mount already with the name "second"`) {
		t.Errorf("a key name that is not taken: %v", got.Warnings)
	}
}

// objects counts the objects in the token's store.
func (s *server) objects(t *testing.T) int {
	t.Helper()
	files, err := filepath.Glob(s.token.Tokens + "/*/*.object")
	must(t, err)
	return len(files)
}

// TestManagedKeyFields: what a definition may say, and that what nobody knows
// is told even where there is nothing else to tell.
func TestManagedKeyFields(t *testing.T) {
	s := start(t)
	good := `"library":"softhsm","token_label":"` + s.token.Label + `","pin":"` + s.token.PIN + `","key_label":"k","mechanism":"0x1041","curve":"P256"`
	for _, c := range []struct {
		path, body string
		status     int
		says       string
	}{
		{"pkcs11/K", `{` + good + `,"allow_generate_key":"true"}`, 204, ""},
		{"pkcs11/k", `{` + good + `,"slot":"","usages":"sign,verify,generate_random"}`, 204, ""},
		{"pkcs11/k", `{` + good + `,"max_paralel":4}`, 200, "unrecognized parameters: [max_paralel]"},
		{"pkcs11/k", `{` + good + `,"slot":"first"}`, 400, "slot"},
		{"pkcs11/k", `{` + good + `,"mechanism":"ECDSA"}`, 400, "twice"},
		{"pkcs11/k", `{` + strings.Replace(good, "0x1041", "ECDSA", 1) + `}`, 400, "mechanism"},
		{"pkcs11/k", `{` + strings.Replace(good, "0x1041", "0x9999", 1) + `}`, 400, "mechanism"},
		{"pkcs11/k", `{` + strings.Replace(good, "P256", "P999", 1) + `}`, 400, "curve"},
		{"pkcs11/k", `{` + strings.Replace(good, "softhsm", "luna", 1) + `}`, 400, "luna"},
		{"pkcs11/k", `{` + good + `,"usages":"fly"}`, 400, "usages"},
		{"pkcs11/k", `{` + good + `,"any_mount":"perhaps"}`, 400, `"any_mount"`},
		{"pkcs11/k", `{` + good + `,"key_id":"xyz"}`, 400, "key_id"},
		{"pkcs11/k", `{` + good + `,"max_parallel":-1}`, 400, "max_parallel"},
		{"pkcs11/a%20b", `{` + good + `}`, 400, "name"},
		{"gcpckms/k", `{}`, 400, "unsupported managed key type"},
		{"awskms/k", `{}`, 400, "kms_key is missing"},
		{"awskms/k", `{"kms_key":"k","key_type":"RSA","key_bits":"2048","allow_generate_key":"true"}`, 400, "needs an alias"},
		{"awskms/k", `{"kms_key":"alias/k","key_type":"rsa","key_bits":"2048","region":"eu-west-1"}`, 400, "regions of hsmd's wire_keys"},
		{"awskms/k", `{"kms_key":"alias/k","key_type":"DSA"}`, 400, "key_type"},
		{"pkcs11/k/test/sign", `{"hash_algorithm":"md5"}`, 400, "hash_algorithm"},
		{"pkcs11/k/test/sign", `{"use_pss":"perhaps"}`, 400, `"use_pss"`},
		{"pkcs11/none/test/sign", `{}`, 400, `"none"`},
	} {
		got := s.ask(t, "POST", "sys/managed-keys/"+c.path, c.body)
		if got.Status != c.status || !got.says(c.says) {
			t.Errorf("POST %s %s: %d %s, want %d with %q", c.path, c.body, got.Status, got.Body, c.status, c.says)
		}
		if strings.Contains(got.Body, s.token.PIN) {
			t.Errorf("POST %s: the PIN is in the answer", c.path)
		}
	}
	read := s.do(t, "GET", "sys/managed-keys/pkcs11/K", "")
	if read.Data["pin"] != "redacted" || read.Data["name"] != "k" || read.Data["mechanism"] != float64(0x1041) || strings.Contains(read.Body, s.token.PIN) {
		t.Errorf("the definition reads as %s", read.Body)
	}
	// Names are lower case, whoever writes them how.
	s.do(t, "POST", "sys/managed-keys/pkcs11/k", `{`+good+`,"allow_generate_key":true}`)
	s.do(t, "POST", "sys/mounts/pki", `{"type":"pki","config":{"allowed_managed_keys":["K"]}}`)
	s.do(t, "POST", "pki/root/generate/kms", `{"common_name":"R","managed_key_name":"K"}`)
	if got := s.ask(t, "DELETE", "sys/managed-keys/pkcs11/K", ""); got.Status != 400 || !got.says("pki/") {
		t.Errorf("deleting a key that a mount lists: %d %s", got.Status, got.Body)
	}
	s.do(t, "POST", "sys/mounts/pki/tune", `{"allowed_managed_keys":"other,K"}`)
	s.do(t, "POST", "pki/root/generate/kms", `{"common_name":"R","managed_key_name":"k"}`)
	s.do(t, "POST", "sys/mounts/pki/tune", `{"allowed_managed_keys":[]}`)
	if got := s.ask(t, "POST", "pki/root/generate/kms", `{"common_name":"R","managed_key_name":"k"}`); got.Status != 400 || !got.says("allowed_managed_keys") {
		t.Errorf("a key off the list: %d %s", got.Status, got.Body)
	}
}
