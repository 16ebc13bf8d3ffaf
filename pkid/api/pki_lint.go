package api

import "github.com/hsmpki/hsmpki/pkid/ca"

var lintRoutes = []route{
	{pattern: "config/lint", help: "What certificates and CRLs are held to before they are signed",
		ops: both(read, pkiReadLint, update, pkiWriteLint)},
}

// pkiReadLint serves GET config/lint.
func pkiReadLint(_ *Handler, r *request) (*answer, error) {
	s := r.mount.Authority.Lint()
	return &answer{data: map[string]any{"mode": s.Mode, "waive": s.Waive, "sources": s.Sources}}, nil
}

// pkiWriteLint serves POST config/lint: what is not given stays.
func pkiWriteLint(h *Handler, r *request) (*answer, error) {
	p := r.params
	change := ca.LintChange{Waive: givenList(p, "waive"), Sources: givenList(p, "sources")}
	if p.Present("mode") {
		mode := p.String("mode")
		change.Mode = &mode
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	if err := r.mount.Authority.SetLint(r.ctx, change); err != nil {
		return nil, err
	}
	return pkiReadLint(h, r)
}
