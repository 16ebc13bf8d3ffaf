package test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/test/handbook"
)

var (
	mdLink  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// TestLinks follows each link in a page of Markdown to a file of the tree, and to
// the heading that it names.
func TestLinks(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "bin", "run"}, d.Name()) {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, found := range mdLink.FindAllStringSubmatch(string(text), -1) {
			if target := found[1]; !strings.Contains(target, "://") {
				followLink(t, path, target)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func followLink(t *testing.T, page, target string) {
	t.Helper()
	file, anchor, _ := strings.Cut(target, "#")
	to := page
	if file != "" {
		to = filepath.Join(filepath.Dir(page), file)
	}
	if _, err := os.Stat(to); err != nil {
		t.Errorf("%s: %s is not there", page, target)
		return
	}
	if anchor == "" || filepath.Ext(to) != ".md" {
		return
	}
	text, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range heading.FindAllStringSubmatch(string(text), -1) {
		if handbook.Anchor(found[1]) == anchor {
			return
		}
	}
	t.Errorf("%s: %s has no heading %q", page, file, anchor)
}
