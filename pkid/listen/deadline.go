package listen

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// withDeadlines gives each request's body a time by which it must have come.
//
// http.Server's ReadTimeout would do that too, but goes on while the request
// is answered, where net/http waits for the connection's end: it would cancel
// whatever takes longer, such as making an RSA key. So the deadline is lifted
// with the last octet of the body.
func withDeadlines(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn := http.NewResponseController(w)
		// What is left of the answer before is no measure for this request.
		_ = conn.SetWriteDeadline(time.Time{})
		if r.Body != nil && r.Body != http.NoBody {
			_ = conn.SetReadDeadline(time.Now().Add(bodyBudget))
			r.Body = &timedBody{r.Body, conn}
		}
		next.ServeHTTP(w, r)
	})
}

type timedBody struct {
	io.ReadCloser
	conn *http.ResponseController
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}
