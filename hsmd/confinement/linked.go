package confinement

import (
	"debug/elf"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// linker finds what the dynamic loader (ld.so(8)) will map for a shared object,
// without running any of it.
type linker struct {
	loader  string // its path, links followed; the C library is beside it
	class   elf.Class
	machine elf.Machine
	lib     string // what $LIB stands for
	fromEnv []string
	preload []string
	last    []string // where is looked in the end
	found   []string
}

// self is this program.
const self = "/proc/self/exe"

// ownLinker makes the linker of a process that runs this program with environ.
func ownLinker(environ []string) (*linker, error) {
	program, err := elf.Open(self)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	l := &linker{class: program.Class, machine: program.Machine, lib: "lib"}
	if l.loader, err = interpreter(program); err != nil {
		return nil, err
	}
	if l.class == elf.ELFCLASS64 {
		l.lib = "lib64"
	}
	for _, pair := range environ {
		switch name, value, _ := strings.Cut(pair, "="); name {
		case "LD_LIBRARY_PATH":
			l.fromEnv = strings.FieldsFunc(value, func(r rune) bool { return r == ':' || r == ';' })
		case "LD_PRELOAD":
			l.preload = strings.FieldsFunc(value, func(r rune) bool { return r == ':' || r == ' ' })
		}
	}
	l.last = append(configured("/etc/ld.so.conf", 0), filepath.Dir(l.loader), "/lib64", "/usr/lib64", "/lib", "/usr/lib")
	return l, nil
}

// interpreter is the path of a program's dynamic loader, links followed.
func interpreter(program *elf.File) (string, error) {
	for _, p := range program.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		path, err := io.ReadAll(p.Open())
		if err != nil {
			return "", err
		}
		return filepath.EvalSymlinks(strings.TrimRight(string(path), "\x00"))
	}
	return "", errors.New("it is not linked dynamically")
}

// linked gives the shared objects and everything that they need. What is not
// found is left out: the loader will say so.
func (l *linker) linked(objects ...string) []string {
	for _, o := range objects {
		l.add(o, nil)
	}
	for _, name := range l.preload {
		l.need(name, "", nil, nil)
	}
	return l.found
}

// add takes a file up, and what it needs. rpath are the DT_RPATH of what needs
// it.
func (l *linker) add(path string, rpath []string) {
	if slices.Contains(l.found, path) {
		return
	}
	l.found = append(l.found, path)
	f, err := elf.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	runpath := l.directories(f, elf.DT_RUNPATH, path)
	if runpath == nil { // DT_RPATH counts only then
		rpath = append(l.directories(f, elf.DT_RPATH, path), rpath...)
	}
	needed, _ := f.DynString(elf.DT_NEEDED)
	for _, name := range needed {
		l.need(name, path, rpath, runpath)
	}
}

func (l *linker) directories(f *elf.File, tag elf.DynTag, path string) []string {
	values, _ := f.DynString(tag)
	var all []string
	for _, v := range values {
		for dir := range strings.SplitSeq(v, ":") {
			if dir != "" {
				all = append(all, l.expand(dir, path))
			}
		}
	}
	return all
}

func (l *linker) expand(s, path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	origin := filepath.Dir(path)
	return strings.NewReplacer("${ORIGIN}", origin, "$ORIGIN", origin, "${LIB}", l.lib, "$LIB", l.lib).Replace(s)
}

// need finds a library by its name, in the loader's order.
func (l *linker) need(name, by string, rpath, runpath []string) {
	if strings.Contains(name, "/") {
		l.add(l.expand(name, by), rpath)
		return
	}
	if runpath != nil {
		rpath = nil
	}
	for _, dirs := range [][]string{rpath, l.fromEnv, runpath, l.last} {
		for _, dir := range dirs {
			path := filepath.Join(dir, name)
			if l.fits(path) {
				l.add(path, rpath)
				// Which of the variants for newer processors is taken, if there are
				// any, is the loader's to say.
				variants, _ := filepath.Glob(filepath.Join(dir, "glibc-hwcaps", "*", name))
				for _, v := range variants {
					l.add(v, rpath)
				}
				return
			}
		}
	}
}

// fits reports whether the loader would take the file: in the same folders
// there may be libraries for another processor.
func (l *linker) fits(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return f.Class == l.class && f.Machine == l.machine
}

// configured are the folders of ldconfig's configuration.
func configured(path string, depth int) []string {
	text, err := os.ReadFile(path)
	if err != nil || depth > 4 {
		return nil
	}
	var dirs []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case fields[0] != "include":
			dirs = append(dirs, fields[0])
		default:
			for _, pattern := range fields[1:] {
				if !filepath.IsAbs(pattern) {
					pattern = filepath.Join(filepath.Dir(path), pattern)
				}
				files, _ := filepath.Glob(pattern)
				for _, file := range files {
					dirs = append(dirs, configured(file, depth+1)...)
				}
			}
		}
	}
	return dirs
}
