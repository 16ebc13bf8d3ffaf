package cli

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/urfave/cli/v2"
)

func quickstartCommand() *cli.Command {
	return &cli.Command{
		Name:  "quickstart",
		Usage: "set up a CA with its key in the HSM, up to the first certificate",
		Description: `   Prints each call as it makes it, so that all of it can be done by hand or in a script.

   The CA's key is: with -managed-key alone, the managed key of that name; with -library, a managed key that is
   defined now, and made on the token if it is not there; with neither, the only managed key that hsmd knows, or
   else, and with -key-type, a new key on the token that hsmd's internal_keys names.

   pkid quickstart -cn "Example Root"
   pkid quickstart -cn "Example Root" -library=softhsm -token-label=ca -pin=@pin.txt -domain=example.com`,
		Flags: flags(
			&cli.StringFlag{Name: "cn", Usage: "common `name` of the root certificate", Required: true},
			&cli.StringFlag{Name: "mount", Value: "pki", Usage: "`path` of the CA"},
			&cli.StringFlag{Name: "ttl", Value: "87600h", Usage: "how long the root is valid; a key with constraints may allow less"},
			&cli.StringFlag{Name: "domain", Value: "example.com", Usage: "`domain` under which the role issues"},
			&cli.StringFlag{Name: "role", Usage: "`name` of the role (default: the domain with dashes)"},
			&cli.StringFlag{Name: "url", Value: "http://127.0.0.1:8200", Usage: "where relying parties reach this server"},
			&cli.StringFlag{Name: "managed-key", Usage: "`name` of the managed key"},
			&cli.StringFlag{Name: "library", Usage: "`name` of hsmd's kms_library stanza"},
			&cli.StringFlag{Name: "token-label", Usage: "`label` of the token"},
			&cli.StringFlag{Name: "slot", Usage: "slot `number` of the token, instead of its label"},
			&cli.StringFlag{Name: "pin", Usage: "the token's user PIN: @file, - for standard input, or the PIN itself"},
			&cli.StringFlag{Name: "key-type", Value: "P256", Usage: "P256, P384, P521, Ed25519, RSA-2048, RSA-3072, RSA-4096, or where the token has it ML-DSA-44, ML-DSA-65, ML-DSA-87"},
		),
		Action: runQuickstart,
	}
}

func runQuickstart(c *cli.Context) error {
	s, mount, err := openMountAlone(c)
	if err != nil {
		return err
	}
	spec, ok := keySpecs[c.String("key-type")]
	if !ok {
		return fail("-key-type=%s: must be P256, P384, P521, Ed25519, RSA-2048, RSA-3072, RSA-4096, ML-DSA-44, ML-DSA-65 or ML-DSA-87", c.String("key-type"))
	}
	domain := c.String("domain")
	role := firstOf(c.String("role"), strings.ReplaceAll(domain, ".", "-"))
	walk := &walkthrough{session: s}

	key := walk.managedKey(mount, spec)
	walk.secrets("enable", "-path="+mount+" -max-lease-ttl="+c.String("ttl")+" pki", http.MethodPost, "sys/mounts/"+mount,
		map[string]any{"type": "pki", "config": map[string]any{"max_lease_ttl": c.String("ttl")}})
	mounted := walk.err == nil
	root := []string{"common_name=" + c.String("cn"), "ttl=" + c.String("ttl")}
	if key != "" {
		walk.secrets("tune", "-allowed-managed-keys="+key+" "+mount, http.MethodPost, "sys/mounts/"+mount+"/tune",
			map[string]any{"allowed_managed_keys": []string{key}})
		walk.write(mount+"/root/generate/kms", append(root, "managed_key_name="+key)...)
	} else {
		walk.write(mount+"/root/generate/internal", append(root, spec.internal...)...)
	}
	if mounted && walk.refused != nil {
		walk.withdraw(mount)
	}
	base := strings.TrimSuffix(c.String("url"), "/") + "/v1/" + mount
	walk.write(mount+"/config/urls", "issuing_certificates="+base+"/ca", "crl_distribution_points="+base+"/crl")
	walk.write(mount+"/roles/"+role, "allowed_domains="+domain, "allow_subdomains=true", "allow_localhost=false", "key_type=ec", "ttl=72h", "max_ttl=72h")
	first := walk.write(mount+"/issue/"+role, "common_name=test."+domain)
	if walk.err != nil || walk.waits != "" {
		return walk.err
	}
	fmt.Fprintf(s.out, "\n%s\n\nThe CA works: the certificate above, serial %s, is its first.\nNext:\n"+
		"  pkid issue -mount=%s -role=%s web.%s     (writes web.%[5]s.crt and .key)\n  pkid certs -mount=%[3]s\n",
		text(first["certificate"]), text(first["serial_number"]), mount, role, domain)
	return nil
}

// keySpec is how a kind of key is asked for: in a managed key's definition,
// and of root/generate/internal.
type keySpec struct{ managed, internal []string }

var keySpecs = map[string]keySpec{
	"RSA-2048": {[]string{"mechanism=0x0001", "key_bits=2048"}, []string{"key_type=rsa", "key_bits=2048"}},
	"RSA-3072": {[]string{"mechanism=0x0001", "key_bits=3072"}, []string{"key_type=rsa", "key_bits=3072"}},
	"RSA-4096": {[]string{"mechanism=0x0001", "key_bits=4096"}, []string{"key_type=rsa", "key_bits=4096"}},
	"P256":     {[]string{"mechanism=0x1041", "curve=P256"}, []string{"key_type=ec", "key_bits=256"}},
	"P384":     {[]string{"mechanism=0x1041", "curve=P384"}, []string{"key_type=ec", "key_bits=384"}},
	"P521":     {[]string{"mechanism=0x1041", "curve=P521"}, []string{"key_type=ec", "key_bits=521"}},
	"Ed25519":  {[]string{"mechanism=0x1057", "curve=Ed25519"}, []string{"key_type=ed25519"}},

	"ML-DSA-44": {[]string{"mechanism=0x001D", "key_bits=44"}, []string{"key_type=ml-dsa", "key_bits=44"}},
	"ML-DSA-65": {[]string{"mechanism=0x001D", "key_bits=65"}, []string{"key_type=ml-dsa", "key_bits=65"}},
	"ML-DSA-87": {[]string{"mechanism=0x001D", "key_bits=87"}, []string{"key_type=ml-dsa", "key_bits=87"}},
}
