// Package witness is a witness of C2SP's (c2sp.org/tlog-witness) for tests: it
// remembers the last checkpoint of each log, on 127.0.0.1, and signs what goes on
// from it.
package witness

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const name = "witness.test/1"

// Witness is one witness.
type Witness struct {
	URL string
	Key string // as a note's verifier

	private ed25519.PrivateKey
	id      []byte

	mu   sync.Mutex
	away bool
	last map[string]state // by origin
	logs map[string]string
}

type state struct {
	size int64
	root tlog.Hash
}

// Start starts a witness, which ends with the test.
func Start(t testing.TB) *Witness {
	w := &Witness{private: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), last: map[string]state{}, logs: map[string]string{}}
	key := append([]byte{4}, w.private.Public().(ed25519.PublicKey)...)
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	w.id = sum[:4]
	w.Key = fmt.Sprintf("%s+%x+%s", name, w.id, base64.StdEncoding.EncodeToString(key))
	server := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(server.Close)
	w.URL = server.URL
	return w
}

// Trust has the witness know a log by its verifier key.
func (w *Witness) Trust(verifier string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	origin, _, _ := strings.Cut(verifier, "+")
	w.logs[origin] = verifier
}

// Away makes the witness answer nothing of use, or come back.
func (w *Witness) Away(away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = away
}

// Size is what the witness has signed last for the one log that it knows.
func (w *Witness) Size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.last {
		return s.size
	}
	return 0
}

func (w *Witness) serve(out http.ResponseWriter, req *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	body, err := io.ReadAll(req.Body)
	if err != nil || w.away || req.URL.Path != "/add-checkpoint" || req.Method != http.MethodPost {
		http.Error(out, "away", http.StatusServiceUnavailable)
		return
	}
	head, signed, _ := bytes.Cut(body, []byte("\n\n"))
	in := bufio.NewScanner(bytes.NewReader(head))
	in.Scan()
	var old int64
	if _, err := fmt.Sscanf(in.Text(), "old %d", &old); err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	var proof tlog.TreeProof
	for in.Scan() {
		h, err := tlog.ParseHash(in.Text())
		if err != nil {
			http.Error(out, err.Error(), http.StatusBadRequest)
			return
		}
		proof = append(proof, h)
	}
	w.add(out, old, proof, signed)
}

func (w *Witness) add(out http.ResponseWriter, old int64, proof tlog.TreeProof, signed []byte) {
	origin, _, _ := strings.Cut(string(signed), "\n")
	verifier, err := note.NewVerifier(w.logs[origin])
	if err != nil {
		http.Error(out, "unknown log", http.StatusNotFound)
		return
	}
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		http.Error(out, err.Error(), http.StatusForbidden)
		return
	}
	var next state
	var root string
	if _, err = fmt.Sscanf(n.Text, origin+"\n%d\n%s\n", &next.size, &root); err == nil {
		next.root, err = tlog.ParseHash(root)
	}
	if err != nil || next.size < old {
		http.Error(out, "bad checkpoint", http.StatusBadRequest)
		return
	}
	last := w.last[origin]
	if last.size != old || last.size == next.size && last.size > 0 && last.root != next.root {
		out.Header().Set("Content-Type", "text/x.tlog.size")
		out.WriteHeader(http.StatusConflict)
		fmt.Fprintln(out, last.size)
		return
	}
	if old > 0 && old < next.size {
		if err := tlog.CheckTree(proof, next.size, next.root, old, last.root); err != nil {
			http.Error(out, err.Error(), http.StatusUnprocessableEntity)
			return
		}
	}
	w.last[origin] = next
	now := uint64(time.Now().Unix())
	signature := ed25519.Sign(w.private, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", now, n.Text))
	line := append(binary.BigEndian.AppendUint64(bytes.Clone(w.id), now), signature...)
	fmt.Fprintf(out, "— %s %s\n", name, base64.StdEncoding.EncodeToString(line))
}
