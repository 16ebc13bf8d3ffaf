package auditlog

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// segment is one file of the log. A sealed one has the numbers of its first and
// last line in its name: audit-000000000000-000000004711.log. That order is the
// log's; what is written is audit.log.
type segment struct {
	path        string
	first, last uint64
	sealed      bool
}

func sealedName(path string, first, last uint64) string {
	ext := filepath.Ext(path)
	return fmt.Sprintf("%s-%012d-%012d%s", strings.TrimSuffix(path, ext), first, last, ext)
}

// beside is the path of a file that goes with the log: audit.tree, audit.checkpoint.
func beside(path, ext string) string { return strings.TrimSuffix(path, filepath.Ext(path)) + ext }

// sealedSegments lists the sealed segments beside a log, in order. Between the
// first that is there and the last none may be missing. A folder that is listed
// while files in it get other names may leave one out: then it is listed again.
func sealedSegments(path string) (all []segment, err error) {
	for range 5 {
		if all, err = listSegments(path); err == nil {
			return all, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, err
}

func listSegments(path string) ([]segment, error) {
	ext := filepath.Ext(path)
	base := strings.TrimSuffix(filepath.Base(path), ext)
	form := regexp.MustCompile("^" + regexp.QuoteMeta(base) + `-(\d{12,19})-(\d{12,19})` + regexp.QuoteMeta(ext) + "$")
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	var all []segment
	for _, f := range files {
		m := form.FindStringSubmatch(f.Name())
		if m == nil {
			continue
		}
		s := segment{path: filepath.Join(filepath.Dir(path), f.Name()), sealed: true}
		s.first, _ = strconv.ParseUint(m[1], 10, 64)
		s.last, _ = strconv.ParseUint(m[2], 10, 64)
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b segment) int { return cmp.Compare(a.first, b.first) })
	for i, s := range all {
		if s.last < s.first || i > 0 && s.first != all[i-1].last+1 {
			return nil, fmt.Errorf("segments are missing, or there twice, before %s", filepath.Base(s.path))
		}
	}
	return all, nil
}

// chain is how far a reader has followed the log.
type chain struct {
	next uint64
	prev Hash
}

// errTorn is what a file that ends without a newline ends with.
var errTorn = errors.New("ends in the middle of a line")

// follow reads the lines of a file, checks that each goes on from the one before,
// and hands it on with its end in the file. raw is only good until the next.
func (c *chain) follow(r io.Reader, each func(raw []byte, end int64) error) error {
	in := bufio.NewReaderSize(r, 1<<20)
	var want, long []byte
	for end := int64(0); ; {
		raw, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, raw...)
			continue
		}
		if len(long) > 0 {
			raw = append(long, raw...)
			long = long[:0]
		}
		if errors.Is(err, io.EOF) && len(raw) == 0 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return errTorn
		}
		if err != nil {
			return err
		}
		end += int64(len(raw))
		raw = raw[:len(raw)-1]
		if want = head(want[:0], c.next, c.prev); !bytes.HasPrefix(raw, want) {
			return c.broken(raw)
		}
		if err := each(raw, end); err != nil {
			return err
		}
		l := Line{Raw: raw}
		c.next, c.prev = c.next+1, l.Hash()
	}
}

// broken says how a line does not go on from the one before.
func (c *chain) broken(raw []byte) error {
	found, err := decode(raw)
	switch {
	case err != nil:
		return fmt.Errorf("line %d was changed: it is no line of the log: %w", c.next, err)
	case found.Seq != c.next:
		return fmt.Errorf("line %d was expected, and line %d is there: lines were removed, put in or moved", c.next, found.Seq)
	case found.Prev != c.prev && c.next == 0:
		return errors.New("line 0 goes on from another: the beginning was removed")
	case found.Prev != c.prev:
		return fmt.Errorf("line %d does not go on from line %d: one of the two was changed", c.next, c.next-1)
	}
	return fmt.Errorf("line %d was changed: it does not begin as hsmd writes it", c.next)
}

// lastLine reads the last line of a segment that is whole.
func lastLine(path string) (*Line, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	for size := int64(64 << 10); ; size *= 8 {
		size = min(size, info.Size())
		tail := make([]byte, size)
		if _, err := f.ReadAt(tail, info.Size()-size); err != nil {
			return nil, err
		}
		lines := bytes.TrimSuffix(tail, []byte{'\n'})
		if at := bytes.LastIndexByte(lines, '\n'); at >= 0 || size == info.Size() {
			return decode(lines[at+1:])
		}
	}
}

// firstLine reads the first line of a segment.
func firstLine(path string) (*Line, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := bufio.NewReader(f).ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("%s: its first line: %w", filepath.Base(path), err)
	}
	return decode(bytes.TrimSuffix(raw, []byte{'\n'}))
}
