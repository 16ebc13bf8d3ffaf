package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/config"
)

// FuzzLoad loads any text as each of the four kinds of file. It must not panic,
// and every fault has to say where it is.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"good/*.hcl", "good/*.json", "bad/*.hcl", "bad/*.json"} {
		for _, name := range files(f, pattern) {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, name := range []string{"hsmd.hcl", "hsmd.json", "pkid.hcl", "pkid.json"} {
			_, err := parse(name, text)
			faults, ok := err.(config.Diagnostics)
			if err != nil && (!ok || len(faults) == 0) {
				t.Fatalf("%s: %T %v", name, err, err)
			}
			for _, d := range faults {
				if d.File != filepath.Base(name) || d.Message == "" || strings.ContainsAny(d.Text, "\n") {
					t.Errorf("%s: %#v", name, d)
				}
			}
		}
	})
}
