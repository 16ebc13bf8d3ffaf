// Package fakekms is a small KMS for tests: AWS's JSON API over HTTP on the
// loopback interface, with real keys, real signatures and a signature (SigV4)
// demanded of each request. It has the errors that the service has, and
// switches for what goes wrong with it (see faults.go).
//
// It knows nothing of our daemons, and nothing of AWS's SDK: what goes over the
// line is written down here a second time, so that a misunderstanding shows.
// Start with [Start]; the operations are in operations.go.
package fakekms

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/secret"
)

// The one principal that there is. The secret is long and odd so that a search
// for it in a log or a state folder finds nothing else.
const (
	AccessKey = "AKIAFAKEKMS7EXAMPLE0"
	SecretKey = "fake-secret-5d1c/2f86+a94be0c73d1e58b6f2"
	Region    = "eu-central-1"
	Account   = "111122223333"
)

// Server is one KMS: one account in one region.
type Server struct {
	URL string // "http://127.0.0.1:…", for endpoint

	region string

	http *http.Server
	done chan struct{} // closed when it ends

	mu      sync.Mutex
	keys    []*Key
	aliases map[string]*aliasEntry // by "alias/…"
	faults  faults
	counts  map[string]int
	calls   []Call
}

// Call is one request that was answered, or would have been.
type Call struct {
	Operation string
	RequestID string
	Code      string // of the error; empty for success
}

type aliasEntry struct {
	target *Key
	seen   time.Time // from when on it is found
}

// Start starts the KMS of [Region], which ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartIn(t, Region)
}

// StartIn starts the KMS of another region.
func StartIn(t testing.TB, region string) *Server {
	t.Helper()
	secret.Add("the access key of AWS KMS", AccessKey)
	secret.Add("the secret key of AWS KMS", SecretKey)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{URL: "http://" + l.Addr().String(), region: region, done: make(chan struct{}), aliases: map[string]*aliasEntry{}, counts: map[string]int{}}
	s.faults.start()
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go s.http.Serve(l)
	t.Cleanup(func() {
		close(s.done)
		s.http.Close()
	})
	return s
}

// Env is what a process needs in its environment to find the KMS and the
// credentials in the way that every program of AWS's does, and no others.
func (s *Server) Env() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + AccessKey, "AWS_SECRET_ACCESS_KEY=" + SecretKey, "AWS_SESSION_TOKEN=", "AWS_REGION=" + s.region,
		"AWS_ENDPOINT_URL_KMS=" + s.URL, "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_PROFILE="}
}

// Count is how many requests there were for an operation, refused ones among
// them.
func (s *Server) Count(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[operation]
}

// Calls are all requests so far, in the order of their answers.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// maxBody bounds a request as the service does, roughly.
const maxBody = 64 << 10

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := requestID()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return
	}
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	s.mu.Lock()
	s.counts[operation]++
	s.mu.Unlock()

	// Step 1: whoever is not let in learns nothing of keys.
	answer, failure := any(nil), s.authenticate(r, body)
	before := s.plan(operation)
	if before.hole || before.delay > 0 && !s.sleep(r, before.delay) {
		s.vanish(r)
		return
	}
	if failure == nil {
		failure = before.failure
	}

	// Step 2: the work, and then perhaps no word of it.
	if failure == nil {
		answer, failure = s.do(operation, body)
	}
	code := ""
	if failure != nil {
		code = failure.Type
	}
	s.mu.Lock()
	s.calls = append(s.calls, Call{operation, id, code})
	s.mu.Unlock()
	if before.lose {
		hangUp(w)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", id)
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	if failure != nil {
		w.WriteHeader(failure.status)
		json.NewEncoder(w).Encode(failure)
		return
	}
	if before.empty {
		answer = struct{}{}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	if before.broken {
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		text = text[:len(text)/2]
	}
	w.Write(text) // net/http hangs up where it is less than was said
}

// sleep is false where the caller went away, or the server.
func (s *Server) sleep(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-s.done:
	}
	return false
}

// vanish says nothing until the caller gives up.
func (s *Server) vanish(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.done:
	}
}

func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.Close()
	}
}

func requestID() string {
	b := make([]byte, 16)
	rand.Read(b)
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Failure is an error as the service answers it.
type Failure struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
	status  int
}

func fail(code, message string) *Failure {
	status := http.StatusBadRequest
	if code == "KMSInternalException" || code == "DependencyTimeoutException" || code == "KeyUnavailableException" {
		status = http.StatusInternalServerError
	}
	return &Failure{Type: code, Message: message, status: status}
}
