// Package test runs the two programs together, as those who use them do, and
// holds the rules that the tree keeps. Start at script_test.go.
package test

import (
	"os"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
)

func TestMain(m *testing.M) {
	if number := os.Getenv(withoutCall); number != "" {
		panic(executeWithoutCall(number, os.Args[1:]))
	}
	daemon.Main(m)
}
