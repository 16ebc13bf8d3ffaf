package test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// verifyAudit has the log of signatures verified, and gives what was said.
func verifyAudit(t *testing.T, h *daemon.HSMD) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(daemon.Bin(t), "hsmd"), "audit", "verify", "-config="+h.Config).CombinedOutput()
	if err != nil {
		t.Errorf("hsmd audit verify: %v\n%s", err, out)
	}
	return string(out)
}
