package api

import (
	"io"
	"net/http"
	"time"

	"github.com/hsmpki/hsmpki/pkid/store/snapshot"
)

// snapshotPause is how long a client may take for one piece of a snapshot: while
// it is read, the store keeps what it replaces.
const snapshotPause = 30 * time.Second

// readSnapshot serves sys/storage/snapshot: the whole state, as it is at one
// moment. It says of itself whether it is whole; one that breaks off is not.
func readSnapshot(h *Handler, r *request) (*answer, error) {
	return &answer{
		contentType: "application/octet-stream",
		header:      http.Header{"Content-Disposition": {`attachment; filename="pkid.snapshot"`}},
		pour: func(to io.Writer) error {
			summary, err := snapshot.Write(r.ctx, h.Store, to)
			if err == nil {
				h.Log.Info("a snapshot was taken", "request_id", r.id, "records", summary.Records, "octets", summary.Octets, "peer", r.who.remote)
			}
			return err
		},
	}, nil
}

// sendPoured writes an answer whose length nobody knows. Where it fails, the
// connection is cut, so that the client does not take a part for the whole.
func (h *Handler) sendPoured(w http.ResponseWriter, r *request, a *answer) {
	w.Header().Set("Content-Type", a.contentType)
	w.WriteHeader(http.StatusOK)
	if err := a.pour(&paced{w, http.NewResponseController(w)}); err != nil {
		h.Log.Error("an answer broke off", "request_id", r.id, "path", r.path, "error", err)
		panic(http.ErrAbortHandler)
	}
}

// paced gives each piece its own time.
type paced struct {
	to      io.Writer
	control *http.ResponseController
}

func (p *paced) Write(b []byte) (int, error) {
	// Only a test's recorder has no deadlines.
	_ = p.control.SetWriteDeadline(time.Now().Add(snapshotPause))
	return p.to.Write(b)
}
