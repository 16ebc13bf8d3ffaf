package daemon

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Main is for TestMain of a package that starts daemons: it runs the tests and
// removes the programs if they were built for them.
func Main(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// built is the folder that programs has made.
var built string

// programs gives the folder with hsmd and pkid: $HSMPKI_BIN, or one into which
// they are built now, once for each run of a test binary.
var programs = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("HSMPKI_BIN"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.MkdirTemp("", "hsmpki-bin-")
	if err != nil {
		return "", err
	}
	built = dir
	build := exec.Command("go", "build", "-o", dir, "github.com/hsmpki/hsmpki/hsmd", "github.com/hsmpki/hsmpki/pkid")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

// Bin is the folder with the programs, for PATH.
func Bin(t testing.TB) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
