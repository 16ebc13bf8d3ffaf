package goodkey

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"
)

// maxLine is how many octets a line of a blocklist may have.
const maxLine = 4096

// Blocklist holds the keys that files name. A file has one key a line, in any
// of three forms, which their lengths tell apart:
//
//   - the SHA-256 of a SubjectPublicKeyInfo in 64 hexadecimal digits,
//   - the same in base64, with padding or without,
//   - the [Fingerprint] of an RSA modulus in 20 hexadecimal digits, as in the
//     files of Debian's packages openssl-blacklist and openssl-blacklist-extra.
//
// A # begins a comment; blank lines say nothing. A nil Blocklist is empty.
type Blocklist struct {
	lists atomic.Pointer[lists]
}

// lists are in order, for a search that takes no memory beside them: the lists
// of one RSA size have 300,000 moduli.
type lists struct {
	keys   [][sha256.Size]byte
	moduli []Fingerprint
}

// OpenBlocklist reads the files. The error names file and line.
func OpenBlocklist(paths []string) (*Blocklist, error) {
	var all lists
	for _, path := range paths {
		if err := all.readFile(path); err != nil {
			return nil, err
		}
	}
	all.sort()
	b := &Blocklist{}
	b.lists.Store(&all)
	return b, nil
}

// Replace has b hold what next holds, and nothing else.
func (b *Blocklist) Replace(next *Blocklist) { b.lists.Store(next.lists.Load()) }

// Len is how many keys and moduli are blocked.
func (b *Blocklist) Len() (keys, moduli int) {
	if b == nil {
		return 0, 0
	}
	l := b.lists.Load()
	return len(l.keys), len(l.moduli)
}

func (b *Blocklist) has(spki [sha256.Size]byte) bool {
	if b == nil {
		return false
	}
	_, found := slices.BinarySearchFunc(b.lists.Load().keys, spki, compareKeys)
	return found
}

func (b *Blocklist) hasModulus(f Fingerprint) bool {
	if b == nil {
		return false
	}
	_, found := slices.BinarySearchFunc(b.lists.Load().moduli, f, compareModuli)
	return found
}

func compareKeys(x, y [sha256.Size]byte) int { return bytes.Compare(x[:], y[:]) }

func compareModuli(x, y Fingerprint) int { return bytes.Compare(x[:], y[:]) }

func (l *lists) sort() {
	slices.SortFunc(l.keys, compareKeys)
	slices.SortFunc(l.moduli, compareModuli)
	l.keys, l.moduli = slices.Compact(l.keys), slices.Compact(l.moduli)
}

func (l *lists) readFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return l.read(path, f)
}

// read adds what a file says; name is for errors.
func (l *lists) read(name string, r io.Reader) error {
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLine)
	number := 1
	for ; in.Scan(); number++ {
		text, _, _ := bytes.Cut(in.Bytes(), []byte("#"))
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		if !l.add(text) {
			return fmt.Errorf("%s:%d: %.80q is neither the SHA-256 of a public key (64 hexadecimal digits, or base64) nor the fingerprint of an RSA modulus (20 hexadecimal digits)", name, number, text)
		}
	}
	if err := in.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("%s:%d: the line is longer than %d octets", name, number, maxLine)
	} else if err != nil {
		return fmt.Errorf("%s:%d: %w", name, number, err)
	}
	return nil
}

// add reads one entry.
func (l *lists) add(text []byte) bool {
	var key [sha256.Size]byte
	var modulus Fingerprint
	switch len(text) {
	case hex.EncodedLen(len(modulus)):
		_, err := hex.Decode(modulus[:], text)
		l.moduli = append(l.moduli, modulus)
		return err == nil
	case hex.EncodedLen(len(key)):
		_, err := hex.Decode(key[:], text)
		l.keys = append(l.keys, key)
		return err == nil
	}
	text = bytes.TrimSuffix(text, []byte("="))
	if len(text) != base64.RawStdEncoding.EncodedLen(len(key)) {
		return false
	}
	n, err := base64.RawStdEncoding.Strict().Decode(key[:], text)
	l.keys = append(l.keys, key)
	return err == nil && n == len(key) // it skips line ends
}
