package main

import (
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/softhsm"
)

// TestExposure: what the rules of a file leave open, in words.
func TestExposure(t *testing.T) {
	token := softhsm.New(t)
	path, _ := file(t, token, func(s string) string {
		return strings.Replace(s, "wire_keys", `client "pkid" {
  user         = "0"
  capabilities = ["sign", "generate"]
  keys         = ["root", "issuing"]
}
client "operators" {
  group        = "0"
  capabilities = ["configure"]
}
approver "alice" { keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJL0fvIkzGVu5KjDnSl3NkYnd+5q1H/cRvBBLyVQmuNa alice"] }
managed_key "pkcs11" "issuing" {
  library     = "softhsm"
  token_label = "`+token.Label+`"
  pin         = "`+token.PIN+`"
  key_label   = "issuing"
  mechanism   = "0x1041"
  constraints {
    sign                  = ["certificate", "crl"]
    ca                    = false
    max_ttl               = "24h"
    permitted_dns_domains = ["example.com"]
    excluded_dns_domains  = ["root.example.com"]
    extended_key_usages   = ["server_auth"]
    rate                  = 10
    max_per_day           = 500
  }
  approval {
    quorum = 1
    sign   = ["crl"]
  }
}
managed_key "pkcs11" "spare" {
  library     = "softhsm"
  token_label = "`+token.Label+`"
  pin         = "`+token.PIN+`"
  key_label   = "spare"
  mechanism   = "0x1041"
}
wire_keys`, 1)
	})
	code, out, errOut := hsmdRun("check", "-exposure", "-config="+path)
	if code != 0 {
		t.Fatal(errOut)
	}
	for _, want := range []string{
		`root: client "pkid" can have signed certificates, CAs' too, with any path length, and what these sign is bound by nothing here, for any name good for ever for any purpose; CRLs, good for ever; OCSP responses, good for ever; certificate requests; as often as the token can.`,
		`issuing: client "pkid" can have signed certificates, but no CA's, for any name within example.com but root.example.com good for 24h0m0s for server_auth at most 500 a day; with 1 approvals for each of them, CRLs, good for ever; 10 a second.`,
		`spare: no client may have it sign.`,
		`keys defined over the wire: client "operators" can define up to`,
		`with each of them nobody can have signed`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("not said: %s\n%s", want, out)
		}
	}
}
