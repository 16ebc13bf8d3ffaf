package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/config"
)

var update = flag.Bool("update", false, "write testdata/bad/*.want anew")

func parse(name string, text []byte) (any, error) {
	if strings.HasPrefix(filepath.Base(name), "pkid") {
		return config.ParsePKID(filepath.Base(name), text)
	}
	return config.ParseHSMD(filepath.Base(name), text)
}

func files(t testing.TB, pattern string) []string {
	names, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no files match %s (%v)", pattern, err)
	}
	return names
}

// TestBad holds every fault of every bad file against the .want file beside it.
func TestBad(t *testing.T) {
	names := append(files(t, "bad/*.hcl"), files(t, "bad/*.json")...)
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			_, err = parse(name, text)
			if err == nil {
				t.Fatal("loaded without an error")
			}
			if _, ok := errors.AsType[config.Diagnostics](err); !ok {
				t.Errorf("the error is a %T", err)
			}
			got := err.Error() + "\n"
			for _, secret := range []string{"hunter2", "4711", "0123456789abcdef", "sssh"} {
				if strings.Contains(got, secret) {
					t.Errorf("the error shows the secret %q", secret)
				}
			}
			if *update {
				if err := os.WriteFile(name+".want", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name + ".want")
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
