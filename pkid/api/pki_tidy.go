package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/hsmpki/hsmpki/pkid/tidy"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var tidyRoutes = []route{
	{pattern: "tidy", help: "Remove what ended long ago", ops: one(update, pkiTidy)},
	{pattern: "tidy-status", help: "How the last tidy is getting on", ops: one(read, pkiTidyStatus)},
	{pattern: "tidy-cancel", help: "End the tidy under way", ops: one(update, pkiTidyCancel)},
	{pattern: "config/auto-tidy", help: "Tidy by itself", ops: both(read, pkiReadAutoTidy, update, pkiWriteAutoTidy)},
}

// readTidy takes a tidy's parameters out of a request's; what is not given
// stays. The warnings are about what has no sense here.
func readTidy(p *vaultapi.Params, t *tidy.Params) (warnings []string) {
	for _, b := range []struct {
		name string
		to   *bool
	}{
		{"tidy_cert_store", &t.CertStore}, {"tidy_revocation_list", &t.RevokedCerts}, {"tidy_revoked_certs", &t.RevokedCerts},
		{"tidy_revoked_cert_issuer_associations", &t.IssuerAssociations}, {"tidy_expired_issuers", &t.ExpiredIssuers},
		{"tidy_move_legacy_ca_bundle", &t.MoveLegacyCABundle}, {"tidy_acme", &t.ACME},
	} {
		*b.to = p.Bool(b.name, *b.to)
	}
	for _, d := range []struct {
		name string
		to   *time.Duration
	}{
		{"safety_buffer", &t.SafetyBuffer}, {"issuer_safety_buffer", &t.IssuerSafetyBuffer},
		{"acme_account_safety_buffer", &t.ACMESafetyBuffer}, {"pause_duration", &t.Pause},
	} {
		*d.to = p.Duration(d.name, *d.to)
	}
	t.PageSize = p.Int("page_size", t.PageSize)
	if t.MoveLegacyCABundle {
		warnings = append(warnings, "tidy_move_legacy_ca_bundle: there are no legacy CA bundles here; nothing is done for it")
	}
	if t.ACME {
		warnings = append(warnings, "tidy_acme: there is no ACME here yet; nothing is done for it")
	}
	return warnings
}

// pkiTidy serves tidy.
func pkiTidy(_ *Handler, r *request) (*answer, error) {
	params := tidy.Defaults()
	warnings := readTidy(r.params, &params)
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	if err := params.Check(); err != nil {
		return nil, vaultapi.BadRequest("%v", err)
	}
	if !params.Anything() {
		warnings = append(warnings, "No targets to tidy; specify tidy_cert_store=true or tidy_revoked_certs=true or tidy_revoked_cert_issuer_associations=true or tidy_expired_issuers=true to start a tidy operation.")
		return &answer{warnings: warnings}, nil
	}
	err := r.mount.Tidier.Start(r.ctx, params)
	if errors.Is(err, tidy.ErrRunning) {
		return &answer{warnings: append(warnings, "Tidy operation already in progress.")}, nil
	}
	if err != nil {
		return nil, err
	}
	warnings = append(warnings, "Tidy operation successfully started. Any information from the operation will be printed to the server's log; tidy-status tells how it is getting on.")
	return &answer{status: http.StatusAccepted, warnings: warnings}, nil
}

// pkiTidyCancel serves tidy-cancel.
func pkiTidyCancel(h *Handler, r *request) (*answer, error) {
	if !r.mount.Tidier.Cancel() {
		return &answer{warnings: []string{"Tidy operation cannot be cancelled as none is currently running."}}, nil
	}
	return pkiTidyStatus(h, r)
}

// pkiTidyStatus serves tidy-status.
func pkiTidyStatus(_ *Handler, r *request) (*answer, error) {
	s := r.mount.Tidier.Status()
	data := map[string]any{
		"state": string(s.State), "internal_backend_uuid": r.mount.UUID,
		"error": nil, "message": nil, "time_started": nil, "time_finished": nil, "last_auto_tidy_finished": s.LastAutoTidyFinished,
		"cert_store_deleted_count": nil, "revoked_cert_deleted_count": nil, "missing_issuer_cert_count": nil, "expired_issuers_deleted_count": nil,
		"current_cert_store_count": nil, "current_revoked_cert_count": nil,
		"total_acme_account_count": nil, "acme_account_deleted_count": nil, "acme_account_revoked_count": nil, "acme_orders_deleted_count": nil,
	}
	if r.mount.Tidier.Auto().MaintainCounts {
		certificates, revocations, err := r.mount.Tidier.Counts(r.ctx)
		if err != nil {
			return nil, err
		}
		data["current_cert_store_count"], data["current_revoked_cert_count"] = certificates, revocations
	}
	for name, value := range tidyFields(&s.Params) {
		if data[name] = value; s.State == tidy.Inactive {
			data[name] = nil
		}
	}
	if s.State == tidy.Inactive {
		return &answer{data: data}, nil
	}
	data["time_started"] = s.Started
	data["cert_store_deleted_count"], data["revoked_cert_deleted_count"] = s.CertsDeleted, s.RevocationsDeleted
	data["missing_issuer_cert_count"], data["expired_issuers_deleted_count"] = s.IssuersMissing, s.IssuersDeleted
	if !s.Going() {
		data["time_finished"] = s.Finished
	}
	if s.Error != "" {
		data["error"] = s.Error
	}
	if s.Message != "" {
		data["message"] = s.Message
	}
	return &answer{data: data}, nil
}

// tidyFields are a tidy's parameters as the API answers them.
func tidyFields(t *tidy.Params) map[string]any {
	return map[string]any{
		"tidy_cert_store": t.CertStore, "tidy_revoked_certs": t.RevokedCerts, "tidy_revoked_cert_issuer_associations": t.IssuerAssociations,
		"tidy_expired_issuers": t.ExpiredIssuers, "tidy_move_legacy_ca_bundle": t.MoveLegacyCABundle, "tidy_acme": t.ACME,
		"safety_buffer": int(t.SafetyBuffer.Seconds()), "issuer_safety_buffer": int(t.IssuerSafetyBuffer.Seconds()),
		"acme_account_safety_buffer": int(t.ACMESafetyBuffer.Seconds()), "pause_duration": t.Pause.String(), "page_size": t.PageSize,
	}
}

// pkiReadAutoTidy serves GET config/auto-tidy.
func pkiReadAutoTidy(_ *Handler, r *request) (*answer, error) {
	a := r.mount.Tidier.Auto()
	return autoTidyAnswer(&a, nil), nil
}

// pkiWriteAutoTidy serves POST config/auto-tidy: what is not given stays.
func pkiWriteAutoTidy(_ *Handler, r *request) (*answer, error) {
	p := r.params
	var warnings []string
	change := func(a *tidy.Auto) {
		a.Enabled = p.Bool("enabled", a.Enabled)
		a.Interval = p.Duration("interval_duration", a.Interval)
		a.MinStartupBackoff = p.Duration("min_startup_backoff_duration", a.MinStartupBackoff)
		a.MaxStartupBackoff = p.Duration("max_startup_backoff_duration", a.MaxStartupBackoff)
		a.MaintainCounts = p.Bool("maintain_stored_certificate_counts", a.MaintainCounts)
		a.PublishCounts = p.Bool("publish_stored_certificate_count_metrics", a.PublishCounts)
		warnings = readTidy(p, &a.Params)
	}
	tried := r.mount.Tidier.Auto()
	if change(&tried); p.Err() != nil {
		return nil, p.Err()
	}
	if err := tried.Check(); err != nil {
		return nil, vaultapi.BadRequest("%v", err)
	}
	now, err := r.mount.Tidier.SetAuto(r.ctx, change)
	if err != nil {
		return nil, err
	}
	if now.PublishCounts {
		warnings = append(warnings, "publish_stored_certificate_count_metrics: there are no metrics here yet; the counts are in tidy-status")
	}
	return autoTidyAnswer(&now, warnings), nil
}

func autoTidyAnswer(a *tidy.Auto, warnings []string) *answer {
	data := tidyFields(&a.Params)
	data["enabled"], data["interval_duration"] = a.Enabled, int(a.Interval.Seconds())
	data["min_startup_backoff_duration"], data["max_startup_backoff_duration"] = int(a.MinStartupBackoff.Seconds()), int(a.MaxStartupBackoff.Seconds())
	data["maintain_stored_certificate_counts"], data["publish_stored_certificate_count_metrics"] = a.MaintainCounts, a.PublishCounts
	return &answer{data: data, warnings: warnings}
}
