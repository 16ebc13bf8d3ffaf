package main

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/softhsm"
	"github.com/hsmpki/hsmpki/wire"
)

// TestCase14_TokenAwayShows: what an operator sees of a token that is away, and
// that nobody has to do anything once it is back.
func TestCase14_TokenAwayShows(t *testing.T) {
	token := softhsm.New(t)
	path, socket := file(t, token, asIs)
	running(t, path, socket)
	client := connect(t, socket)
	if _, err := client.Generate(t.Context(), &wire.GenerateRequest{Key: "root", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	aside := token.Tokens + ".aside"
	if err := os.Rename(token.Tokens, aside); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := hsmdRun("key", "test", "-address", socket, "root"); code != 2 || !strings.Contains(stderr, "unavailable") {
		t.Errorf("key test: %d, %s", code, stderr)
	}
	code, out, _ := hsmdRun("key", "list", "-address", socket)
	if code != 0 || !strings.Contains(out, `Token with label "ca" of library "softhsm" is away since 20`) {
		t.Errorf("key list: %d\n%s", code, out)
	}
	if _, out, _ = hsmdRun("key", "list", "-format", "json", "-address", socket); !strings.Contains(out, `"breaker": "`) {
		t.Errorf("key list in JSON:\n%s", out)
	}
	if err := os.Rename(aside, token.Tokens); err != nil {
		t.Fatal(err)
	}
	comesBack(t, client)
	if _, out, _ := hsmdRun("key", "list", "-address", socket); strings.Contains(out, "away") {
		t.Errorf("key list of a token that is back:\n%s", out)
	}
}

// comesBack asks until the key signs, and wants nothing but to be told to come
// again meanwhile.
func comesBack(t *testing.T, client *wire.Client) {
	t.Helper()
	for {
		_, err := client.Test(t.Context(), &wire.TestRequest{Key: "root"})
		if err == nil {
			return
		}
		if !errors.Is(err, wire.Unavailable) {
			t.Fatal(err)
		}
		time.Sleep(wire.AsError(err).RetryAfter)
	}
}
