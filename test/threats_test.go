package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThreatModel holds hsmd/THREATS.md to its word: behind each promise there is
// a test that attacks it.
func TestThreatModel(t *testing.T) {
	page, err := os.ReadFile("../hsmd/THREATS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## What is promised")
	table, _, found := strings.Cut(table, "\n## ")
	if !found {
		t.Fatal("the page has no section of promises, or nothing after it")
	}
	attack := regexp.MustCompile(`\[((?:Test|Fuzz)\w+)\]\(([^)]+_test\.go)\)`)
	promises := 0
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| promise |") {
			continue
		}
		promises++
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			t.Errorf("not three cells: %s", line)
			continue
		}
		attacks := attack.FindAllStringSubmatch(cells[3], -1)
		if len(attacks) == 0 || strings.Count(cells[3], "](") != len(attacks) {
			t.Errorf("no test, or something that is none, is named for: %s", cells[1])
		}
		for _, a := range attacks {
			source, err := os.ReadFile(filepath.Join("../hsmd", a[2]))
			if err != nil {
				t.Error(err)
			} else if !strings.Contains(string(source), "\nfunc "+a[1]+"(") {
				t.Errorf("%s has no %s", a[2], a[1])
			}
		}
	}
	if promises < 15 {
		t.Errorf("%d promises were read", promises)
	}
}
