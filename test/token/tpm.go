package token

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TPM is a software TPM 2.0 with a resource manager in front of it, without
// which the library runs out of the TPM's few places for keys. The two meet on
// a D-Bus of their own.
type TPM struct {
	dir   string
	paths []string
	env   []string
	n     int
}

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>
`

// NewTPM starts one.
func NewTPM(t testing.TB) *TPM {
	t.Helper()
	dir, err := os.MkdirTemp("", "tpm-") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	chip, bus, store := filepath.Join(dir, "tpm.sock"), filepath.Join(dir, "bus.sock"), filepath.Join(dir, "store")
	for _, sub := range []string{store, filepath.Join(dir, "state")} {
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, bus), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &TPM{dir: dir, paths: []string{store, bus}, env: []string{"DBUS_SESSION_BUS_ADDRESS=unix:path=" + bus, "TPM2TOOLS_TCTI=tabrmd:bus_type=session",
		"TPM2_PKCS11_TCTI=tabrmd:bus_type=session", "TPM2_PKCS11_STORE=" + store, "TSS2_LOG=all+none"}}

	start(t, m.command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+filepath.Join(dir, "state"),
		"--server", "type=unixio,path="+chip, "--ctrl", "type=unixio,path="+chip+".ctrl", "--flags", "not-need-init,startup-clear"),
		func() bool { return exists(chip) && exists(chip+".ctrl") })
	start(t, m.command("dbus-daemon", "--nofork", "--config-file="+config), func() bool { return exists(bus) })
	// The library keeps each key loaded that it has used.
	start(t, m.command("tpm2-abrmd", "--session", "--allow-root", "--max-transients=100", "--tcti=swtpm:path="+chip),
		func() bool { return m.command("tpm2_getrandom", "1").Run() == nil })
	run(t, m.command("tpm2_ptool", "init"))
	return m
}

func (m *TPM) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), m.env...)
	return cmd
}

// Add initialises a token, of which a TPM may have many.
func (m *TPM) Add(t testing.TB) *Token {
	t.Helper()
	m.n++
	k := &Token{Library: library(t, "libtpm2_pkcs11.so.1", "libtpm2-pkcs11-1"), Label: fmt.Sprintf("tpm-%d", m.n), PIN: "pin-of-tpm-2c81", Paths: m.paths, Env: m.env}
	run(t, m.command("tpm2_ptool", "addtoken", "--pid=1", "--label="+k.Label, "--sopin=so-pin-of-tpm", "--userpin="+k.PIN))
	return k
}
