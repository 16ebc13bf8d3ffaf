package api

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// stream is an answer that is not held whole.
type stream struct {
	octets   io.ReadSeeker
	modified time.Time
	tag      string // another for each other content
}

// slowest is how many octets a second a client must take of a long answer.
const slowest = 256 << 10

// sendStream writes a stream, or 304 if the client has it already, or the range
// of it that the client asks for.
func (h *Handler) sendStream(w http.ResponseWriter, req *http.Request, r *request, a *answer) {
	begun := false
	err := a.stream(func(s *stream) error {
		size, err := s.octets.Seek(0, io.SeekEnd)
		if err != nil {
			return err
		}
		begun = true
		w.Header().Set("Content-Type", a.contentType)
		w.Header().Set("ETag", `"`+s.tag+`"`)
		w.Header().Set("Cache-Control", "no-cache") // it may be kept, and asked about each time
		if h.Now().Before(s.modified) {
			s.modified = time.Time{} // it could change within this second
		}
		budget := writeBudget + time.Duration(size/slowest)*time.Second
		// Only a test's recorder has no deadlines.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(budget))
		if strings.Contains(req.Header.Get("Range"), ",") {
			// One piece goes on with a download that broke off. Thousands, each
			// of which is to be looked up, are a stranger's way to waste time; a
			// server may give the whole (RFC 9110, section 14.2).
			req.Header.Del("Range")
		}
		http.ServeContent(w, req, "", s.modified, s.octets)
		return nil
	})
	switch {
	case err != nil && !begun:
		h.respondError(w, r, err)
	case err != nil:
		h.Log.Error("an answer broke off", "request_id", r.id, "path", r.path, "error", err)
	}
}
