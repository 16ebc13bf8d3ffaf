package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
	"github.com/hsmpki/hsmpki/test/softhsm"
)

// TestReloadOften reloads again and again, each time with a changed stanza, key
// or library's file, and kills workers meanwhile. No request fails, and workers
// and descriptors are as many in the end as in the beginning.
func TestReloadOften(t *testing.T) {
	t.Parallel()
	token := softhsm.New(t)
	token.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "ca", "--id", "01", "--sensitive")
	spare := token.Clone(t)
	library, err := os.ReadFile(token.Library)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "library.so")
	replace := func() {
		writeOrFail(t, file+".new", string(library))
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	blocks := func(round int) string {
		return daemon.Library("softhsm", file, map[string]string{"SOFTHSM2_CONF": token.Conf}, fmt.Sprintf("max_sessions = %d", 8+round/3%4)) +
			daemon.Library("spare", spare.Library, map[string]string{"SOFTHSM2_CONF": spare.Conf, "ROUND": fmt.Sprint(round / 4)}) +
			withCopy(hclKey(token, "ca"), "spare", spare, spare.PIN) + hclKey(token, fmt.Sprintf("extra-%d", round%3))
	}
	replace()
	h := daemon.NewHSMD(t, blocks(0))
	h.Start()
	signing := startSigning(t, h, "ca", "ca", "ca")
	signing.waitFor(t, 20)
	descriptors := func() int {
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", h.PID()))
		if err != nil {
			t.Fatal(err)
		}
		return len(open)
	}
	workers, before := len(h.WorkerPIDs()), descriptors()
	for round := range 30 {
		if round%7 == 6 {
			replace()
		}
		if pids := h.WorkerPIDs(); round%3 == 2 && len(pids) > 0 {
			_ = syscall.Kill(pids[round%len(pids)], syscall.SIGKILL) // it may have ended by itself
		}
		h.Write(t, blocks(round))
		h.Reload() // not taken where the worker that was killed is the one to be tried
		signing.waitFor(t, 20)
	}
	reload(t, h, blocks(0))
	signing.waitFor(t, 20)
	signing.finish(t)
	eventually(t, fmt.Sprintf("hsmd has %d workers and %d descriptors, as before", workers, before), func() bool {
		return len(h.WorkerPIDs()) <= workers && descriptors() <= before
	})
	if log := h.Log(); strings.Contains(log, "ALARM") || strings.Contains(log, token.PIN) {
		t.Error("hsmd's log has an alarm or the PIN in it")
	}
}
