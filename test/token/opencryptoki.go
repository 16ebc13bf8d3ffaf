package token

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// OpenCryptoki is opencryptoki's soft token, RSA only, which locks itself after
// three wrong PINs. It knows fixed paths alone, so it lives in mount and IPC
// namespaces where those are its own; who is not root is so in a user namespace.
type OpenCryptoki struct {
	*Token
	root   string // the namespace's root, seen from outside
	daemon *background
}

// The folders that opencryptoki writes to become empty ones in memory, and its
// group root's, which there is in every user namespace. The holder keeps the
// namespaces until its input ends.
const holder = `set -e
mount --make-rprivate /
for dir in /etc/opencryptoki /var/lib/opencryptoki /var/log /dev/shm /run; do mount -t tmpfs none $dir; done
sed 's/^pkcs11:x:[0-9]*/pkcs11:x:0/' /etc/group >/run/group
mount --bind /run/group /etc/group
mkdir -p /run/lock/opencryptoki/swtok /var/lib/opencryptoki/swtok/TOK_OBJ /var/log/opencryptoki
printf 'version opencryptoki-3.1\nslot 3\n{\nstdll = libpkcs11_sw.so\n}\n' >/etc/opencryptoki/opencryptoki.conf
echo made
read -r _ || true`

// Factory and first PINs of the soft token have to be changed before it works;
// PINs have eight characters at most.
const initialise = `set -e
echo soft | pkcsconf -I -c 3 -S 87654321
pkcsconf -P -c 3 -S 87654321 -n 56785678
pkcsconf -u -c 3 -S 56785678 -n 11112222
pkcsconf -p -c 3 -U 11112222 -n 7c30e1f8`

// NewOpenCryptoki makes the namespaces, starts the slot daemon in them and
// initialises the token.
func NewOpenCryptoki(t testing.TB) *OpenCryptoki {
	t.Helper()
	unshare, nsenter := []string{"--mount", "--ipc"}, []string{"--mount", "--ipc"}
	if os.Getuid() != 0 {
		unshare, nsenter = append(unshare, "--map-root-user"), append(nsenter, "--user", "--preserve-credentials")
	}
	cmd := exec.Command("unshare", slices.Concat(unshare, []string{"sh", "-c", holder})...)
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { input.Close() })
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var made bool
	start(t, cmd, func() bool {
		made = made || bufio.NewScanner(output).Scan()
		return made
	})
	pid := strconv.Itoa(cmd.Process.Pid)
	c := &OpenCryptoki{root: "/proc/" + pid + "/root", Token: &Token{
		Library: library(t, "pkcs11/libopencryptoki.so", "opencryptoki"), Label: "soft", PIN: "7c30e1f8",
		Through: slices.Concat([]string{"nsenter", "--target", pid}, nsenter, []string{"--"}),
	}}
	c.StartDaemon(t)
	run(t, c.Command("sh", "-c", initialise))
	return c
}

// StartDaemon starts the slot daemon, without which C_Initialize fails: also for
// a moment after its socket is there.
func (c *OpenCryptoki) StartDaemon(t testing.TB) {
	t.Helper()
	c.daemon = start(t, c.Command("pkcsslotd", "-f"), func() bool {
		return exists(c.root+"/run/pkcsslotd.socket") && c.Command("pkcsconf", "-i").Run() == nil
	})
}

// StopDaemon ends it as an administrator does.
func (c *OpenCryptoki) StopDaemon(t testing.TB) {
	t.Helper()
	if err := c.daemon.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-c.daemon.done
}

// Flags are the token's flags as pkcsconf names them: LOGIN_REQUIRED,
// USER_PIN_COUNT_LOW, USER_PIN_FINAL_TRY, USER_PIN_LOCKED …
func (c *OpenCryptoki) Flags(t testing.TB) []string {
	t.Helper()
	out := run(t, c.Command("pkcsconf", "-t", "-c", "3"))
	_, flags, _ := strings.Cut(out, "Flags: ")
	flags, _, _ = strings.Cut(flags, "\n")
	_, flags, _ = strings.Cut(strings.Trim(flags, "|) "), "(")
	return strings.Split(flags, "|")
}
