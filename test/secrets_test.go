package test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

// heard counts what would fail a test.
type heard struct {
	testing.TB
	said []string
}

func (h *heard) Errorf(format string, args ...any) {
	h.said = append(h.said, strings.Join(strings.Fields(format), " "))
}

// TestDaemonsAreSearched: a secret in what a daemon keeps fails the test that it
// ran in. Each that starts one is searched so, at its end.
func TestDaemonsAreSearched(t *testing.T) {
	for name, plant := range map[string]bool{"clean": false, "planted": true} {
		listening := &heard{}
		t.Run(name, func(t *testing.T) {
			listening.TB = t
			token := softhsm.New(t)
			h := daemon.NewHSMD(listening, daemon.Libraries(token.Store)+daemon.WireKeys)
			h.Start()
			p := daemon.NewPKID(listening, h, "")
			p.Start()
			define(t, &daemon.Pair{Token: token, HSMD: h, PKID: p}, "ca")
			if plant {
				writeOrFail(t, filepath.Join(h.State, "notes"), "the PIN is "+token.PIN)
				writeOrFail(t, filepath.Join(p.State, "notes"), "-----BEGIN PRIVATE KEY-----")
			}
		})
		if found := len(listening.said); plant && found != 2 || !plant && found != 0 {
			t.Errorf("planted %v: %q", plant, listening.said)
		}
	}
}
