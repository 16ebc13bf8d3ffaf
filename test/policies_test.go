package test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"

	"github.com/hsmpki/hsmpki/test/check"
	"github.com/hsmpki/hsmpki/test/daemon"
)

// person is a user who comes over the Unix socket, and his only policy.
type person struct {
	uid    int
	policy string
}

// peer is the block that gives him his policy.
func (who person) peer(uid int) string {
	return fmt.Sprintf("peer %q {\n  user = %d\n  policies = [%q]\n}\n", who.policy, uid, who.policy)
}

// become has the requests to p come from that person. Who is not root has one
// uid, and its policy is changed by a reload.
func (who person) become(t *testing.T, p *daemon.PKID) {
	t.Helper()
	if os.Getuid() != 0 {
		p.Write(t, who.peer(os.Getuid()))
		if log, taken := p.Reload(); !taken {
			t.Fatalf("the peers were not taken:\n%s", log)
		}
		return
	}
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return dialAs(t, who.uid, p.Socket) }}
	t.Cleanup(transport.CloseIdleConnections)
	p.HTTP = &http.Client{Transport: transport}
}

// twoPeople are the policies of the tutorial's: one defines keys and says which
// mount may use them, the other runs the CA.
var twoPeople = map[string]string{
	"keys": `path "sys/managed-keys/*" { capabilities = ["create", "read", "update", "delete", "list"] }
		path "sys/mounts/+/tune" {
			capabilities       = ["update"]
			allowed_parameters = { "allowed_managed_keys" = [] }
		}`,
	"ca": `path "sys/mounts/pki" {
			capabilities      = ["create", "update"]
			denied_parameters = { "config" = [] } # which may have allowed_managed_keys in it
		}
		path "pki/*" { capabilities = ["create", "read", "update", "delete", "list"] }`,
}

// TestTwoPeople walks through the tutorial as two people: one defines keys and
// says which mount may use them, the other runs the CA. Neither can do the
// other's work, nor read or change what they may do.
func TestTwoPeople(t *testing.T) {
	root := person{0, "root"}
	keeper, operator := person{65533, "keys"}, person{65534, "ca"}
	p := daemon.Start(t)
	p.PKID.Stop()
	p.PKID = daemon.NewPKID(t, p.HSMD, root.peer(os.Getuid())+keeper.peer(keeper.uid)+operator.peer(operator.uid))
	p.PKID.Start()
	for name, text := range twoPeople {
		p.PKID.Must(t, "PUT", "sys/policies/acl/"+name, map[string]any{"policy": text})
	}
	learn := definition(p, "learn")
	learn["any_mount"] = false
	generate := map[string]any{"managed_key_name": "learn", "common_name": "example.com", "ttl": "8760h"}

	keeper.become(t, p.PKID)
	p.PKID.Must(t, "POST", "sys/managed-keys/pkcs11/learn", learn)
	p.PKID.Must(t, "POST", "sys/managed-keys/pkcs11/learn/test/sign", nil)
	denied(t, p.PKID, "POST", "sys/mounts/pki", map[string]any{"type": "pki"})

	operator.become(t, p.PKID)
	denied(t, p.PKID, "POST", "sys/mounts/pki", map[string]any{"type": "pki", "config": map[string]any{"allowed_managed_keys": "learn"}})
	p.PKID.Must(t, "POST", "sys/mounts/pki", map[string]any{"type": "pki"})
	denied(t, p.PKID, "POST", "sys/mounts/pki/tune", map[string]any{"allowed_managed_keys": "learn"})
	p.PKID.Refused(t, "POST", "pki/root/generate/kms", generate, 400, "learn")

	keeper.become(t, p.PKID)
	denied(t, p.PKID, "POST", "sys/mounts/pki/tune", map[string]any{"allowed_managed_keys": "learn", "max_lease_ttl": "1h"})
	p.PKID.Must(t, "POST", "sys/mounts/pki/tune", map[string]any{"allowed_managed_keys": "learn"})
	for _, path := range []string{"pki/root/generate/kms", "pki/roles/web", "pki/issue/web", "pki/config/urls"} {
		denied(t, p.PKID, "POST", path, generate)
	}

	operator.become(t, p.PKID)
	p.PKID.Must(t, "POST", "pki/root/generate/kms", generate)
	p.PKID.Must(t, "POST", "pki/roles/web", map[string]any{"allowed_domains": "example.com", "allow_subdomains": true, "max_ttl": "72h"})
	p.PKID.Must(t, "POST", "pki/issue/web", map[string]any{"common_name": "test.example.com"})
	denied(t, p.PKID, "DELETE", "pki/root", nil) // which wants sudo
	for _, method := range []string{"GET", "POST", "DELETE"} {
		denied(t, p.PKID, method, "sys/managed-keys/pkcs11/learn", learn)
	}
	for _, path := range []string{"sys/policies/acl/ca", "sys/policy/ca", "sys/policies/acl/keys"} {
		denied(t, p.PKID, "GET", path, nil)
		denied(t, p.PKID, "POST", path, map[string]any{"policy": `path "*" { capabilities = ["sudo", "update"] }`})
	}

	root.become(t, p.PKID)
	check.CA(t, p)
}

func denied(t *testing.T, p *daemon.PKID, method, path string, body any) {
	t.Helper()
	p.Refused(t, method, path, body, 403, "permission denied")
}
