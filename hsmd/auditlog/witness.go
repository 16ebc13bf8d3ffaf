package auditlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// witnessTime bounds one question to a witness.
const witnessTime = 10 * time.Second

// Witness is somebody elsewhere who remembers the last checkpoint of the log, and
// signs no other that does not go on from it (c2sp.org/tlog-witness).
type Witness struct {
	name     string
	endpoint string
	verifier note.Verifier
	required bool
	client   *http.Client

	size   uint64 // of the last checkpoint that it signed, as far as is known
	signed bool   // that is the last of all
	missed bool   // it was asked for the last, and did not sign
}

// NewWitness makes a witness of its name in this hsmd's configuration, its
// submission prefix and its key as a note's verifier, of the type of cosignatures
// with Ed25519. Where it is required, a log is not opened while it cannot be asked.
func NewWitness(name, prefix, key string, required bool) (*Witness, error) {
	u, err := url.Parse(prefix)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("url is not that of a witness's submission prefix")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return nil, errors.New("url must be https; http is for this machine only")
	}
	verifier, err := newCosigner(key)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return &Witness{
		name: name, endpoint: strings.TrimSuffix(prefix, "/") + "/add-checkpoint", verifier: verifier, required: required,
		client: &http.Client{
			Timeout:       witnessTime,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Name is the witness's in this hsmd's configuration.
func (w *Witness) Name() string { return w.name }

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// errFork says that a witness has seen another log under this one's name.
var errFork = errors.New("the log of signatures is not the one that was witnessed")

// cosign asks for a signature on a checkpoint, and gives its line. errFork is in
// the error where the witness has signed for what this log does not go on from.
func (w *Witness) cosign(ctx context.Context, c *checkpoint, hashes tlog.HashReader) ([]byte, error) {
	// What it has signed may have to be asked for, and may have changed since.
	for range 3 {
		if w.size > c.size {
			return nil, fmt.Errorf("%w: %s has signed for %d lines, and it has %d: its end was removed, or an old copy put in its place", errFork, w.name, w.size, c.size)
		}
		status, body, err := w.submit(ctx, c, hashes)
		if err != nil {
			return nil, err
		}
		switch status {
		case http.StatusOK:
			w.size = c.size
			return w.signature(c, body)
		case http.StatusUnprocessableEntity:
			return nil, fmt.Errorf("%w: it does not go on from the %d lines that %s has signed for", errFork, w.size, w.name)
		case http.StatusConflict:
			size, err := strconv.ParseUint(strings.TrimSuffix(string(body), "\n"), 10, 63)
			switch {
			case err != nil:
				return nil, fmt.Errorf("witness %s: its last size does not read as one", w.name)
			case size == w.size && size == c.size:
				return nil, fmt.Errorf("%w: %s has signed for other %d lines", errFork, w.name, size)
			}
			w.size = size
		default:
			return nil, fmt.Errorf("witness %s: HTTP status %d: %.200q", w.name, status, body)
		}
	}
	return nil, fmt.Errorf("witness %s: its last size changes all the time: is another hsmd writing this log?", w.name)
}

// submit sends a checkpoint with the proof that it goes on from the last.
func (w *Witness) submit(ctx context.Context, c *checkpoint, hashes tlog.HashReader) (status int, body []byte, err error) {
	var proof tlog.TreeProof
	if w.size > 0 && w.size < c.size {
		if proof, err = tlog.ProveTree(int64(c.size), int64(w.size), hashes); err != nil {
			return 0, nil, err
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", w.size)
	for _, h := range proof {
		fmt.Fprintln(&b, h)
	}
	b.WriteByte('\n')
	b.Write(c.text)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.endpoint, &b)
	if err != nil {
		return 0, nil, err
	}
	answer, err := w.client.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("witness %s: %w", w.name, err)
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if err != nil {
		return 0, nil, fmt.Errorf("witness %s: %w", w.name, err)
	}
	return answer.StatusCode, body, nil
}

// signature takes the witness's line out of its answer.
func (w *Witness) signature(c *checkpoint, lines []byte) ([]byte, error) {
	both, err := note.Open(append(bytes.Clone(c.text), lines...), note.VerifierList(w.verifier))
	if err != nil {
		return nil, fmt.Errorf("witness %s: its signature is not on this checkpoint: %w", w.name, err)
	}
	s := both.Sigs[0]
	return fmt.Appendf(nil, "— %s %s\n", s.Name, s.Base64), nil
}
