package check

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/secret"
)

// NoSecrets searches the state, the configuration's neighbours, the logs and what
// others can read of the processes of the daemons for the secrets that are known,
// and for those given. The pair may lack a pkid. Without being asked, each daemon's
// log and folder are searched when it ends (package daemon).
//
// hsmd's file itself may hold a PIN, and the token's folder holds the keys:
// they are left out.
func NoSecrets(t testing.TB, p *daemon.Pair, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		secret.Add("a secret of the test", s)
	}
	logs := map[string]string{"hsmd": p.HSMD.Log()}
	dirs := []string{p.HSMD.Dir}
	pids := map[string]int{"hsmd": p.HSMD.PID()}
	if p.PKID != nil {
		logs["pkid"], pids["pkid"] = p.PKID.Log(), p.PKID.PID()
		dirs = append(dirs, p.PKID.Dir)
	}
	for name, log := range logs {
		secret.Look(t, name+"'s log", []byte(log))
	}
	for _, dir := range dirs {
		secret.LookIn(t, dir, func(path string) bool { return path == p.HSMD.Config })
	}
	for name, pid := range pids {
		for _, file := range []string{"cmdline", "environ"} {
			content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), file))
			if err != nil && !os.IsNotExist(err) {
				t.Error(err)
			}
			secret.Look(t, name+"'s "+file, content)
		}
	}
}
