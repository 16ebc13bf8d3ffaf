package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// requestLog is what a file of pkid's audit log says: how many lines of each
// type, and the serial numbers of the certificates that were given out.
type requestLog struct {
	requests, responses int
	serials             map[string]bool
}

func readRequestLog(t *testing.T, file string) requestLog {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	log := requestLog{serials: map[string]bool{}}
	for line := range bytes.Lines(text) {
		var e struct {
			Type     string
			Response struct{ Data map[string]any }
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v: %.300s", file, err, line)
		}
		switch e.Type {
		case "request":
			log.requests++
		case "response":
			log.responses++
		}
		if serial, is := e.Response.Data["serial_number"].(string); is {
			log.serials[serial] = true
		}
	}
	return log
}

// audited is a CA whose pkid keeps an audit log at a path.
func audited(t *testing.T, path string) *daemon.Pair {
	t.Helper()
	p := daemon.Start(t)
	ca(t, p)
	p.PKID.Stop()
	pkid := daemon.NewPKID(t, p.HSMD, fmt.Sprintf("audit_log = %q\n", path))
	pkid.OnStateOf(t, p.PKID)
	pkid.Start()
	p.PKID = pkid
	return p
}

// TestAuditLogRotates: while requests are under way the log is renamed and pkid
// gets a SIGHUP, again and again, and is killed at the end. Whatever was given
// out is in one of the files.
func TestAuditLogRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	p := audited(t, path)
	l := startLoad(t, p.PKID, 4)
	for i := range 5 {
		l.waitFor(t, 10)
		if err := os.Rename(path, fmt.Sprint(path, ".", i)); err != nil {
			t.Fatal(err)
		}
		if log, taken := p.PKID.Reload(); !taken {
			t.Fatalf("not taken:\n%s", log)
		}
	}
	l.waitFor(t, 10)
	l.finish(t, p)
	given := p.PKID.Must(t, "POST", "pki/sign/web", map[string]any{"csr": request(t, "last.example.com"), "common_name": "last.example.com"}).String(t, "serial_number")
	p.PKID.Kill9()

	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 6 {
		t.Fatalf("%q %v", files, err)
	}
	total := requestLog{serials: map[string]bool{}}
	for _, file := range files {
		log := readRequestLog(t, file)
		total.requests, total.responses = total.requests+log.requests, total.responses+log.responses
		for serial := range log.serials {
			total.serials[serial] = true
		}
	}
	if total.requests != total.responses || !total.serials[given] || len(total.serials) <= l.signed() {
		t.Errorf("%d requests, %d answers, %d serial numbers of %d and %s", total.requests, total.responses, len(total.serials), l.signed(), given)
	}
}

// fullDiskRequestLog: pkid's audit log is on the disk that is full. What cannot
// be written down is not done; what anybody may read is served; when there is
// space, all goes on, and every line is whole.
func fullDiskRequestLog(t *testing.T) {
	disk := mountDisk(t, "1m")
	path := filepath.Join(disk.path, "audit.log")
	p := audited(t, path)
	role := map[string]any{"allow_any_name": true}
	full := false
	for i := range 2000 { // each leaves less than a page
		if i == 20 {
			disk.fill(t, 8<<10)
		}
		a, err := p.PKID.Request("POST", fmt.Sprint("pki/roles/r", i), role)
		if err != nil {
			t.Fatal(err)
		}
		if full = a.Status == 500; full {
			break
		}
	}
	if !full {
		t.Fatal("the disk was never full")
	}
	// The line of an answer is longer than that of its request: a few more requests
	// find room for theirs, and are done.
	for i := range 50 {
		p.PKID.Refused(t, "POST", fmt.Sprint("pki/roles/more", i), role, 500, "the audit log cannot be written")
	}
	p.PKID.Refused(t, "POST", "pki/roles/after", role, 500, "the audit log cannot be written")
	p.PKID.Must(t, "GET", "pki/ca", nil)
	readRequestLog(t, path)
	disk.empty(t)
	p.PKID.Refused(t, "GET", "pki/roles/after", nil, 404, "")
	p.PKID.Must(t, "POST", "pki/roles/after", role)
	if log := readRequestLog(t, path); log.requests < log.responses {
		t.Errorf("%+v", log)
	}
}
