package check

import (
	"bytes"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// patterns begin every private key that is stored in the clear.
var patterns = map[string][]byte{
	"PEM of a private key":  []byte("PRIVATE KEY-----"),
	"PKCS#1 RSA key":        unhex("0201000282"),
	"PKCS#8 RSA key":        unhex("020100300d06092a864886f70d0101010500"),
	"PKCS#8 EC key (P-256)": unhex("020100301306072a8648ce3d0201"),
	"PKCS#8 EC key (other)": unhex("020100301006072a8648ce3d0201"),
	"PKCS#8 Ed25519 key":    unhex("020100300506032b6570"),
	"PKCS#8 ML-DSA key":     unhex("020100300b06096086480165030403"),
	"SEC 1 key (P-256)":     unhex("0201010420"),
	"SEC 1 key (P-384)":     unhex("0201010430"),
}

// NoSecrets searches the state, the configuration's neighbours and the logs of
// the daemons for PINs, private keys and the octets given. The pair may lack a
// pkid.
//
// hsmd's file itself may hold a PIN, and the token's folder holds the keys:
// they are left out.
func NoSecrets(t testing.TB, p *daemon.Pair, secrets ...[]byte) {
	t.Helper()
	look := func(where string, content []byte) {
		for what, octets := range patterns {
			if bytes.Contains(content, octets) {
				t.Errorf("%s has the %s", where, what)
			}
		}
		for _, pin := range []string{p.Token.PIN, p.Token.SOPIN} {
			if bytes.Contains(content, []byte(pin)) {
				t.Errorf("%s has a PIN", where)
			}
		}
		for i, s := range secrets {
			if len(s) > 0 && bytes.Contains(content, s) {
				t.Errorf("%s has secret %d", where, i)
			}
		}
	}
	logs := map[string]string{"hsmd": p.HSMD.Log()}
	dirs := []string{p.HSMD.Dir}
	pids := map[string]int{"hsmd": p.HSMD.PID()}
	if p.PKID != nil {
		logs["pkid"], pids["pkid"] = p.PKID.Log(), p.PKID.PID()
		dirs = append(dirs, p.PKID.Dir)
	}
	for name, log := range logs {
		look(name+"'s log", []byte(log))
	}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || path == p.HSMD.Config {
				// A running Pebble removes files under our feet.
				return ignoreGone(err)
			}
			content, err := os.ReadFile(path)
			if err == nil {
				look(path, content)
			}
			return ignoreGone(err)
		})
		if err != nil {
			t.Error(err)
		}
	}
	// A process's command line and environment can be read by others.
	for name, pid := range pids {
		for _, file := range []string{"cmdline", "environ"} {
			if content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), file)); err == nil {
				look(name+"'s "+file, content)
			}
		}
	}
}

func ignoreGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}
