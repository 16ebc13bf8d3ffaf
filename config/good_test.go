package config_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/config"
)

func loadHSMD(t *testing.T, name string) *config.HSMD {
	t.Helper()
	c, err := config.LoadHSMD(filepath.Join("testdata/good", name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func loadPKID(t *testing.T, name string) *config.PKID {
	t.Helper()
	c, err := config.LoadPKID(filepath.Join("testdata/good", name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %#v, want %#v", what, got, want)
	}
}

func TestDefaults(t *testing.T) {
	h := loadHSMD(t, "hsmd-two-lines.hcl")
	equal(t, "state_dir", h.StateDir, "/var/lib/hsmd")
	equal(t, "state_key", h.StateKey.IsSet(), false)
	equal(t, "audit_log", h.AuditLog, "/var/lib/hsmd/audit.log")
	equal(t, "log_level", h.LogLevel, slog.LevelInfo)
	equal(t, "listeners", len(h.Listeners), 1)
	equal(t, "address", h.Listeners[0].Address, "/run/hsmd/hsmd.sock")
	equal(t, "socket_mode", h.Listeners[0].SocketMode.String(), "0660")
	equal(t, "max_sessions", h.Libraries[0].MaxSessions, 0)
	equal(t, "clients", len(h.Clients), 0)

	p := loadPKID(t, "pkid-empty.hcl")
	equal(t, "storage", p.Storage.Type+" "+p.Storage.Path, "pebble /var/lib/pkid")
	equal(t, "hsmd", p.HSMD.Address, "/run/hsmd/hsmd.sock")
	equal(t, "address", p.Listeners[0].Address, "/run/pkid/pkid.sock")
	equal(t, "peers", len(p.Peers), 0)
}

func TestHSMD(t *testing.T) {
	c := loadHSMD(t, "hsmd-full.hcl")
	equal(t, "audit_log", c.AuditLog, "/var/log/hsmd/audit.log")
	equal(t, "witnesses", len(c.Witnesses), 1)
	w := c.Witnesses[0]
	w.Place = config.Place{}
	equal(t, "witness", w, config.Witness{Name: "elsewhere", URL: "https://witness.example.com/api",
		Key: "witness.example.com/w1+a16ce9e2+BAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB", Required: true})
	equal(t, "log_level", c.LogLevel, slog.LevelDebug)
	equal(t, "unrecorded_good_until", c.Ledger.UnrecordedGoodUntil.UTC(), time.Date(2027, 2, 28, 23, 0, 0, 0, time.UTC))
	equal(t, "state_key", c.StateKey.Reference(), "file:/run/credentials/hsmd.service/state-key")
	equal(t, "socket_user", c.Listeners[0].SocketUser, "0")
	equal(t, "socket_mode", c.Listeners[0].SocketMode.Std(), os.FileMode(0o600))

	soft := c.Libraries[0]
	equal(t, "max_sessions", soft.MaxSessions, 16)
	equal(t, "env", soft.Env, map[string]string{"SOFTHSM2_CONF": "/etc/softhsm/softhsm2.conf"})
	equal(t, "paths, null", soft.Place.Has("paths"), false)
	equal(t, "user, empty", soft.Place.Has("user"), false)

	equal(t, "capabilities", c.Clients[0].Capabilities, []config.Capability{config.CapSign, config.CapGenerate})
	equal(t, "keys by default", c.Clients[0].Keys, []string{"*"})
	equal(t, "keys", c.Clients[1].Keys, []string{"issuing-2026"})
	equal(t, "tokens by default", c.WireKeys.Tokens, []string{"*"})
	equal(t, "max_keys", c.WireKeys.MaxKeys, 7)
	equal(t, "internal_keys", c.InternalKeys.Token.Label, "ca")

	ec := c.ManagedKeys[0]
	equal(t, "key_id", ec.PKCS11.KeyID, "0a1b")
	equal(t, "mechanism in hexadecimal", ec.PKCS11.Mechanism, config.MechanismECDSA)
	equal(t, "boolean in quotes", ec.AllowGenerateKey, true)
	equal(t, "usages by default", ec.Usages, []string{"sign", "verify"})

	rsa := c.ManagedKeys[1]
	equal(t, "slot in quotes", *rsa.PKCS11.Token.Slot, uint64(2305843009213693953))
	equal(t, "mechanism as a number", rsa.PKCS11.Mechanism, config.MechanismRSAPSS)
	equal(t, "key_bits in quotes", rsa.PKCS11.KeyBits, 4096)
	equal(t, "boolean as a number", rsa.PKCS11.ForceRWSession, true)
	equal(t, "usages with commas", rsa.Usages, []string{"sign", "verify"})

	ed := c.ManagedKeys[2]
	equal(t, "mechanism, decimal in quotes", ed.PKCS11.Mechanism, config.MechanismEdDSA)
	equal(t, "Ed25519's curve", ed.PKCS11.Curve, "Ed25519")
	equal(t, "login", ed.PKCS11.Token.Login, "none")
	luna := c.ManagedKeys[3]
	equal(t, "login of a crypto user", luna.PKCS11.Token.Login, "crypto_user")
	equal(t, "generate_mechanism", luna.PKCS11.GenerateMechanism, uint64(0x80000142))
	equal(t, "public_key", luna.PKCS11.PublicKey, "file:/etc/hsmd/luna.pem")
	equal(t, "copies", len(luna.PKCS11.Copies), 2)
	equal(t, "a copy's token", luna.PKCS11.Copies[0].Token.Label, "partition-2")
	equal(t, "a copy's library", luna.PKCS11.Copies[1].Library, "softhsm")
	equal(t, "a copy's key_label", luna.PKCS11.Copies[1].KeyLabel, "luna-backup")
	equal(t, "a copy's place", luna.PKCS11.Copies[1].Place.String(), "testdata/good/hsmd-full.hcl:105")
	cloud, pq := c.ManagedKeys[4].AWSKMS, c.ManagedKeys[5].AWSKMS
	equal(t, "kms_key", cloud.KMSKey, "alias/cloud")
	equal(t, "key_type in lower case", cloud.KeyType+" "+pq.KeyType, "RSA ML-DSA-65")
	equal(t, "requests_per_second", cloud.RequestsPerSecond, 100)
	equal(t, "secret_key", pq.SecretKey.Reference(), "file:/run/credentials/hsmd.service/aws-secret")
	equal(t, "regions", c.WireKeys.Regions, []string{"eu-west-1"})
	equal(t, "endpoints", c.WireKeys.Endpoints, []string{"https://kms.example.com"})
	equal(t, "key_id_length by default", soft.KeyIDLength, 20)
	equal(t, "key_id_length", c.Libraries[1].KeyIDLength, 2)
	rules := c.ManagedKeys[len(c.ManagedKeys)-1].Constraints
	equal(t, "ca", *rules.CA, true)
	equal(t, "max_path_length", *rules.MaxPathLength, 0)
	equal(t, "max_crl_validity", rules.MaxCRLValidity.Std(), 240*time.Hour)
	equal(t, "max_ocsp_validity", rules.MaxOCSPValidity.Std(), 24*time.Hour)
	equal(t, "permitted", rules.Permitted, config.Names{DNSDomains: []string{"example.com"}, DirectoryNames: []string{"O=Example,C=NL"}})
	equal(t, "excluded", rules.Excluded, config.Names{IPRanges: []string{"10.0.0.0/8"}})
	equal(t, "permitted_other_names", rules.PermittedOtherNames, []string{"1.3.6.1.4.1.311.20.2.3"})
	equal(t, "issuer", rules.Issuer, []string{"file:/etc/hsmd/issuing.pem"})
	equal(t, "max_per_day", rules.MaxPerDay, 5000)
	equal(t, "hours", rules.Hours, []string{"Mon-Fri 08:00-18:00"})
	equal(t, "time_zone", rules.TimeZone, "Europe/Berlin")
	equal(t, "constraints by default", c.ManagedKeys[0].Constraints == nil, true)
	equal(t, "place", ed.Place.String(), "testdata/good/hsmd-full.hcl:80")
}

func TestLiteralPINWarns(t *testing.T) {
	c := loadHSMD(t, "hsmd-full.hcl")
	if len(c.Warnings) != 1 {
		t.Fatalf("warnings: %v", c.Warnings)
	}
	w := c.Warnings[0].Error()
	if !strings.Contains(w, "hsmd-full.hcl:69: the PIN stands in this file") || strings.Contains(w, "1234") {
		t.Errorf("warning: %s", w)
	}
}

func TestJSON(t *testing.T) {
	c := loadHSMD(t, "hsmd-json.json")
	equal(t, "libraries", len(c.Libraries), 2)
	equal(t, "env", c.Libraries[0].Env["SOFTHSM2_CONF"], "/etc/softhsm2.conf")
	equal(t, "max_sessions", c.Libraries[1].MaxSessions, 4)
	pin, err := c.ManagedKeys[0].PKCS11.Token.PIN.Read()
	equal(t, "a PIN is not a template", pin, "${literally}")
	equal(t, "reading it", err, nil)
}

func TestPKID(t *testing.T) {
	c := loadPKID(t, "pkid-full.hcl")
	equal(t, "storage", c.Storage.Path, "/srv/pkid")
	equal(t, "hsmd user", c.HSMD.User, "hsmd")
	equal(t, "socket_mode", c.Listeners[0].SocketMode.String(), "0666")
	equal(t, "tls_disable", c.Listeners[2].TLSDisable, true)
	equal(t, "client CAs", c.Listeners[1].TLSClientCAFile, "/etc/pkid/clients.crt")
	equal(t, "proxies", c.Listeners[2].XForwardedForAuthorizedAddrs, []string{"127.0.0.1", "2001:db8::/32"})
	equal(t, "a peer's label is its user", c.Peers[0].User, "root")
	equal(t, "unless there is a group", c.Peers[1].User+c.Peers[1].Group, "33")
	equal(t, "policies", c.Peers[1].Policies, []string{"root"})
	equal(t, "api_addr", c.APIAddr, "https://ca.example.com:8200")
	equal(t, "tracing", c.Tracing.Endpoint, "https://collector.example.com:4318/tenant")
	equal(t, "sample_ratio", c.Tracing.SampleRatio, 0.25)
	equal(t, "audit_log", c.AuditLog, "/var/log/pkid/audit.log")
	equal(t, "blocked_keys", c.BlockedKeys, []string{"/etc/pkid/blocked", "/usr/share/openssl-blacklist/blacklist.RSA-4096"})
}

func TestDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"72h": 72 * time.Hour, "1h30m": 90 * time.Minute, "30d": 720 * time.Hour, "3600": time.Hour, "0": 0,
	} {
		d, err := config.ParseDuration(s)
		if err != nil || d.Std() != want {
			t.Errorf("%q: %v, %v", s, d, err)
		}
	}
	for _, s := range []string{"", "-1", "-5m", "d", "h", "1.5d", "10000000000000000d", "9223372037", "1w"} {
		if d, err := config.ParseDuration(s); err == nil {
			t.Errorf("%q: accepted as %v", s, d)
		}
	}
}

func TestMissingFile(t *testing.T) {
	_, err := config.LoadHSMD(filepath.Join(t.TempDir(), "none.hcl"))
	if !os.IsNotExist(err) {
		t.Errorf("err = %v", err)
	}
	if _, err := config.LoadPKID(t.TempDir()); err == nil {
		t.Error("a directory was loaded")
	}
}

func TestTooLong(t *testing.T) {
	_, err := config.ParsePKID("pkid.hcl", []byte(strings.Repeat("#\n", 256<<10)))
	if err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("err = %v", err)
	}
}

func TestPlaceErrorf(t *testing.T) {
	c := loadPKID(t, "pkid-full.hcl")
	err := c.Peers[0].Place.Errorf("policies", "no user %q", "root")
	equal(t, "error", err.Error(), "testdata/good/pkid-full.hcl:22: no user \"root\"\n\tpeer \"root\" { policies = [\"root\"] }")
}
