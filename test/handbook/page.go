// Package handbook reads the pages of the operator's handbook as what they are:
// scripts. What a page shows is what is done, to the letter; what it does not
// show is in comments of Markdown.
//
//	```sh MACHINE          commands of root's on a machine ("ca" if none is named)
//	```sh MACHINE refused  the same, of which the last has to fail
//	```text                what the commands before printed, line by line in this
//	                       order, with "…" for anything
//	```hcl MACHINE         a file, whose first line is a comment with its path; with
//	                       "at the end of" before the path it is added there
//	<!-- boot MACHINE -->, <!-- boot MACHINE offline -->
//	<!-- lost MACHINE -->  the machine is gone, with all that it had
//	<!-- typed: A B -->    what the next commands are answered when they ask
//	<!-- after PAGE.md#SECTION -->   all of that section is done first
//	<!-- test MACHINE: … -->         commands that nobody is shown
//
// It knows nothing of the programs. Start at [Read].
package handbook

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Kind says what a step does.
type Kind string

// The kinds of steps.
const (
	Commands Kind = "commands" // Text is run
	File     Kind = "file"     // Text is put into Path
	Boot     Kind = "boot"
	Lost     Kind = "lost"
)

// Step is one thing that a page does on a machine.
type Step struct {
	Kind    Kind
	Place   string // page and line, for people
	Machine string
	Text    string
	Shown   bool     // to readers
	Refused bool     // the commands have to fail
	Offline bool     // the machine is booted without a network
	Typed   []string // answers to what the commands ask
	Want    []string // lines of output, with "…" for anything
	Path    string
	Append  bool
}

// reader is a page that is being read.
type reader struct {
	page    string
	section string // where only that is wanted
	inside  bool
	line    int
	lines   []string
	typed   []string
	steps   []Step
}

// Read reads a page, or one section of it (an anchor, such as "with-kms").
func Read(path, section string) ([]Step, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &reader{page: path, section: section, inside: section == "", lines: strings.Split(string(text), "\n")}
	for r.line < len(r.lines) {
		if err := r.next(); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", filepath.Base(path), r.line, err)
		}
	}
	if len(r.steps) == 0 {
		return nil, fmt.Errorf("%s: nothing is done in section %q", filepath.Base(path), section)
	}
	return r.steps, nil
}

func (r *reader) next() error {
	line := r.lines[r.line]
	r.line++
	switch {
	case strings.HasPrefix(line, "## ") && r.section != "":
		r.inside = Anchor(line[3:]) == r.section
	case strings.HasPrefix(line, "```"):
		info, at := strings.Fields(line[3:]), r.line
		text, err := r.until("```")
		if err != nil || !r.inside {
			return err
		}
		return r.block(info, text, at)
	case strings.HasPrefix(line, "<!--"):
		if rest, one := strings.CutSuffix(line, "-->"); one {
			return r.directive(strings.TrimSpace(rest[4:]))
		}
		text, err := r.until("-->")
		if err != nil {
			return err
		}
		return r.directive(strings.TrimSpace(line[4:]) + "\n" + text)
	}
	return nil
}

// until takes the lines up to one that is the end.
func (r *reader) until(end string) (string, error) {
	from := r.line
	for ; r.line < len(r.lines); r.line++ {
		if r.lines[r.line] == end {
			r.line++
			return strings.Join(r.lines[from:r.line-1], "\n") + "\n", nil
		}
	}
	return "", fmt.Errorf("no line %q ends what begins at line %d", end, from)
}

var pathLine = regexp.MustCompile(`^# (at the end of )?(/\S+)$`)

// block is a fenced block: its info string, its text and its line.
func (r *reader) block(info []string, text string, line int) error {
	if len(info) == 0 {
		return fmt.Errorf("a block without a language")
	}
	s := Step{Kind: Commands, Place: fmt.Sprintf("%s:%d", filepath.Base(r.page), line), Machine: "ca", Text: text, Shown: true}
	if len(info) > 1 {
		s.Machine = info[1]
	}
	switch info[0] {
	case "sh":
		s.Refused, s.Typed, r.typed = len(info) > 2 && info[2] == "refused", r.typed, nil
	case "text":
		if len(r.steps) == 0 || r.steps[len(r.steps)-1].Kind != Commands {
			return fmt.Errorf("text that no commands are before")
		}
		r.steps[len(r.steps)-1].Want = strings.Split(strings.TrimSpace(text), "\n")
		return nil
	case "hcl", "ini":
		first, rest, _ := strings.Cut(text, "\n")
		found := pathLine.FindStringSubmatch(first)
		if found == nil {
			return fmt.Errorf("a file whose first line does not say its path: %s", first)
		}
		s.Kind, s.Append, s.Path, s.Text = File, found[1] != "", found[2], rest
	default:
		return fmt.Errorf("a block of language %q", info[0])
	}
	r.steps = append(r.steps, s)
	return nil
}

func (r *reader) directive(text string) error {
	if !r.inside {
		return nil
	}
	word, rest, _ := strings.Cut(text, " ")
	fields := strings.Fields(rest)
	place := fmt.Sprintf("%s:%d", filepath.Base(r.page), r.line)
	switch {
	case word == "boot" && len(fields) > 0:
		r.steps = append(r.steps, Step{Kind: Boot, Place: place, Machine: fields[0], Offline: len(fields) == 2 && fields[1] == "offline"})
	case word == "lost" && len(fields) == 1:
		r.steps = append(r.steps, Step{Kind: Lost, Place: place, Machine: fields[0]})
	case word == "typed:":
		r.typed = fields
	case word == "after" && len(fields) == 1:
		page, section, _ := strings.Cut(fields[0], "#")
		steps, err := Read(filepath.Join(filepath.Dir(r.page), page), section)
		if err != nil {
			return err
		}
		r.steps = append(r.steps, steps...)
	case word == "test" && strings.Contains(rest, ":"):
		machine, script, _ := strings.Cut(rest, ":")
		r.steps = append(r.steps, Step{Kind: Commands, Place: place, Machine: machine, Text: script + "\n"})
	default:
		return fmt.Errorf("a comment that is no directive: %s", text)
	}
	return nil
}

// Anchor is what GitHub makes of a heading.
func Anchor(heading string) string {
	kept := regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(strings.ToLower(heading), "")
	return strings.ReplaceAll(kept, " ", "-")
}

// Missing gives the first of the lines that are wanted which the output has not,
// in this order.
func (s *Step) Missing(output string) (string, bool) {
	lines := strings.Split(output, "\n")
	for _, want := range s.Want {
		parts := strings.Split(strings.TrimSpace(want), "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		pattern := regexp.MustCompile(`^\s*` + strings.Join(parts, `.*`) + `\s*$`)
		for {
			if len(lines) == 0 {
				return want, true
			}
			found := pattern.MatchString(lines[0])
			lines = lines[1:]
			if found {
				break
			}
		}
	}
	return "", false
}
