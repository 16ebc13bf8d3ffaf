package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets the test's own program be the worker that hsmd starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		runWorker()
		return
	}
	os.Exit(m.Run())
}

// hsmdRun runs a command and gives exit code, stdout and stderr.
func hsmdRun(args ...string) (int, string, string) {
	var out, errOut bytes.Buffer
	code := run(append([]string{"hsmd"}, args...), &out, &errOut)
	return code, out.String(), errOut.String()
}

func TestUsage(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	for _, c := range []struct {
		args   string
		code   int
		out    string // a piece of stdout
		errOut string // a piece of stderr
	}{
		{"", 0, "COMMANDS", ""},
		{"-h", 0, "COMMANDS", ""},
		{"help", 0, "COMMANDS", ""},
		{"--version", 0, version, ""},
		{"serve", 1, "", `"serve" is no command of "hsmd"`},
		{"-x", 1, "", "flag provided but not defined"},
		{"server", 1, "", "hsmd server needs -config=FILE"},
		{"server -config=" + missing + " extra", 1, "", "takes 0 arguments, 1 are given"},
		{"server -config=" + missing, 1, "", missing},
		{"check -config=" + missing, 1, "", missing},
		{"check -configg=x", 1, "", "flag provided but not defined"},
		{"key", 0, "list", ""},
		{"key help", 0, "list", ""},
		{"key lst", 1, "", `"lst" is no command of "hsmd key"`},
		{"key read", 1, "", "takes 1 arguments, 0 are given"},
		{"key read a b", 1, "", "takes 1 arguments, 2 are given"},
		{"key list help", 1, "", "takes 0 arguments"},
		{"key read help -address=x", 1, "", "Command flags must be provided before positional arguments"},
		{"key read -address=" + missing + " help", 1, "", "no hsmd answers at " + missing},
		{"key list -address=unix://" + missing, 1, "", "no hsmd answers at " + missing},
		{"key list -format=xml", 1, "", "must be table or json"},
		{"audit verify -config=" + missing, 1, "", missing},
		{"audit verify", 1, "", "takes 1 arguments, 0 are given"},
		{"audit verify " + missing, 1, "", missing},
		{"audit", 0, "verify", ""},
		{"approve", 1, "", "needs one of -statement, -bytes and -signature"},
		{"approve -statement -bytes 17", 1, "", "needs one of -statement, -bytes and -signature"},
		{"approve -signature=/nowhere/x 17", 1, "", "/nowhere/x"},
	} {
		code, out, errOut := hsmdRun(strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errOut, c.errOut) || c.code != 0 && out != "" {
			t.Errorf("hsmd %s: exit %d\nstdout: %s\nstderr: %s\nwant %d, %q, %q", c.args, code, out, errOut, c.code, c.out, c.errOut)
		}
	}
}
