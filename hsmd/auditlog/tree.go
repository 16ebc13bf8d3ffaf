package auditlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"
)

// tree is the Merkle tree over all lines (RFC 6962, section 2.1; a leaf is a line
// without its newline). Its hashes lie in a file beside the log, in the order of
// [tlog.StoredHashIndex]: with them it can be proved that one log goes on from
// another, without reading either. They follow from the lines, and are made again
// where a crash has lost them; they wait in memory until they are many, or
// the disk has room for them.
type tree struct {
	file *os.File
	size uint64
	edge [64]tlog.Hash // by level, the last complete subtree that waits for its neighbour

	mu        sync.Mutex // who asks a witness reads what is written meanwhile
	written   int64      // octets of the file that are right
	unwritten []byte     // those that follow
}

// treeBuffer is how many octets of hashes wait before they are written.
const treeBuffer = 64 << 10

// leafHash is the hash of a line in the tree, which differs from that of the chain.
func leafHash(line []byte) Hash { return Hash(tlog.RecordHash(line)) }

// add appends leaves.
func (t *tree) add(leaves []Hash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, leaf := range leaves {
		t.unwritten = t.push(t.unwritten, tlog.Hash(leaf))
	}
	if len(t.unwritten) >= treeBuffer {
		_ = t.flush() // the next tries again, and sealing a segment insists
	}
}

func (t *tree) flush() error {
	if _, err := t.file.WriteAt(t.unwritten, t.written); err != nil {
		return err
	}
	t.written += int64(len(t.unwritten))
	t.unwritten = t.unwritten[:0]
	return nil
}

// sync has all hashes on disk: those of a sealed segment are not made again.
func (t *tree) sync() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.flush(); err != nil {
		return err
	}
	return t.file.Sync()
}

// ReadAt reads stored hashes, one at a time.
func (t *tree) ReadAt(p []byte, at int64) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at < t.written {
		return t.file.ReadAt(p, at)
	}
	if at-t.written > int64(len(t.unwritten)) {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, t.unwritten[at-t.written:])
	if n < len(p) {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

// push adds one leaf, and appends the hashes that it completes.
func (t *tree) push(stored []byte, h tlog.Hash) []byte {
	stored = append(stored, h[:]...)
	level := 0
	for ; t.size>>level&1 == 1; level++ {
		h = tlog.NodeHash(t.edge[level], h)
		stored = append(stored, h[:]...)
	}
	t.edge[level] = h
	t.size++
	return stored
}

// begin makes the tree one of leaves that the file has all hashes of.
func (t *tree) begin(size uint64) error {
	t.size, t.written = size, tlog.StoredHashIndex(0, int64(size))*tlog.HashSize
	for level := range t.edge {
		if size>>level&1 == 0 {
			continue
		}
		at := tlog.StoredHashIndex(level, int64(size>>level)-1) * tlog.HashSize
		if _, err := t.file.ReadAt(t.edge[level][:], at); err != nil {
			return fmt.Errorf("the tree's hashes: %w", err)
		}
	}
	return nil
}

// root is the tree's head.
func (t *tree) root() tlog.Hash {
	if t.size == 0 {
		h, _ := tlog.TreeHash(0, nil)
		return h
	}
	var h tlog.Hash
	begun := false
	for level := range t.edge {
		switch {
		case t.size>>level&1 == 0:
		case !begun:
			h, begun = t.edge[level], true
		default:
			h = tlog.NodeHash(t.edge[level], h)
		}
	}
	return h
}

// holds says how many leaves the file has all hashes of.
func (t *tree) holds() (uint64, error) {
	info, err := t.file.Stat()
	if err != nil {
		return 0, err
	}
	hashes := info.Size() / tlog.HashSize
	low, high := int64(0), hashes // StoredHashCount(n) is at least n
	for low < high {
		middle := (low + high + 1) / 2
		if tlog.StoredHashCount(middle) <= hashes {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return uint64(low), nil
}

func openTree(path string) (*tree, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	return &tree{file: f}, nil
}

func (t *tree) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.flush() // what is not there is made again
	return t.file.Close()
}

// hashReader reads stored hashes for [tlog].
type hashReader struct{ io.ReaderAt }

func (r hashReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if _, err := r.ReadAt(hashes[i][:], index*tlog.HashSize); err != nil {
			return nil, errors.Join(errors.New("the tree's hashes end early"), err)
		}
	}
	return hashes, nil
}
