package daemon

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binDir is where hsmd and pkid are; set by Main before any test runs.
var binDir string

// Main is for TestMain of a package that starts daemons: it builds the two
// programs once, or takes those in $HSMPKI_BIN, and runs the tests.
func Main(m *testing.M) {
	code, err := mainCode(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func mainCode(m *testing.M) (int, error) {
	if binDir = os.Getenv("HSMPKI_BIN"); binDir != "" {
		var err error
		if binDir, err = filepath.Abs(binDir); err != nil {
			return 0, err
		}
		return m.Run(), nil
	}
	dir, err := os.MkdirTemp("", "hsmpki-bin-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", dir, "github.com/hsmpki/hsmpki/hsmd", "github.com/hsmpki/hsmpki/pkid")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("go build: %w\n%s", err, out)
	}
	binDir = dir
	return m.Run(), nil
}

// Bin is the folder with the programs, for PATH.
func Bin() string { return binDir }
