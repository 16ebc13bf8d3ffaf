package api

import (
	"net/http"

	"github.com/hsmpki/hsmpki/pkid/metrics"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// readMetrics serves sys/metrics.
func readMetrics(h *Handler, r *request) (*answer, error) {
	if format := r.params.String("format"); format != "prometheus" {
		return nil, vaultapi.BadRequest("format=%q: the only format is prometheus", format)
	}
	text, err := h.Metrics.Text()
	if err != nil {
		return nil, err
	}
	return &answer{raw: text, contentType: metrics.ContentType}, nil
}

// told is a ResponseWriter that remembers the status.
type told struct {
	http.ResponseWriter
	status int
}

func (t *told) WriteHeader(status int) {
	if t.status == 0 {
		t.status = status
	}
	t.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (t *told) Unwrap() http.ResponseWriter { return t.ResponseWriter }
