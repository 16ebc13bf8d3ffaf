package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/hsmpki/hsmpki/test/softhsm"
)

// reloads is a log that tells of each reload.
type reloads chan string

func (r reloads) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("reloaded")) {
		r <- string(line)
	}
	return len(line), nil
}

// TestReloadOfManyLibraries: workers are asked for their tokens at once, for as
// many libraries as a file has.
func TestReloadOfManyLibraries(t *testing.T) {
	token := softhsm.New(t)
	path, socket := file(t, token, func(s string) string {
		for i := range 8 {
			s += fmt.Sprintf("kms_library \"pkcs11\" {\n  name = \"l%d\"\n  library = %q\n  env = { SOFTHSM2_CONF = %q, NUMBER = \"%d\" }\n}\n", i, token.Library, token.Conf, i)
		}
		return s
	})
	done := make(reloads, 1)
	runningWith(t, path, socket, slog.New(slog.NewTextHandler(done, nil)))
	for range 5 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if line := <-done; !strings.Contains(line, "is reloaded") {
			t.Error(line)
		}
	}
}
