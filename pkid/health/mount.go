package health

import (
	"strings"
	"time"
)

// What Vault's audit_visibility wants an auditor to see: that no secret is
// among them is why.
var (
	visibleRequests = []string{
		"alt_names", "certificate", "common_name", "country", "csr", "exclude_cn_from_sans", "ext_key_usage", "ext_key_usage_oids", "format",
		"ip_sans", "issuer_name", "issuer_ref", "key_bits", "key_name", "key_ref", "key_type", "key_usage", "locality", "managed_key_id",
		"managed_key_name", "max_path_length", "not_after", "not_before_duration", "organization", "other_sans", "ou", "permitted_dns_domains",
		"policy_identifiers", "postal_code", "private_key_format", "province", "serial_number", "street_address", "ttl", "uri_sans",
	}
	visibleResponses = []string{"certificate", "issuing_ca", "serial_number", "error", "ca_chain"}
)

func checkAudit(f *Facts, r *report) {
	endpoint := "sys/mounts/" + f.Mount + "/tune"
	if missing := lacking(f.Tune, "audit_non_hmac_request_keys", visibleRequests...); len(missing) > 0 {
		r.addAt(Informational, endpoint, "audit_non_hmac_request_keys lacks %s", strings.Join(missing, ", "))
	}
	if missing := lacking(f.Tune, "audit_non_hmac_response_keys", visibleResponses...); len(missing) > 0 {
		r.addAt(Informational, endpoint, "audit_non_hmac_response_keys lacks %s", strings.Join(missing, ", "))
	}
}

func checkAutoTidy(f *Facts, r *report) {
	switch {
	case !flag(f.Tidy, "enabled"):
		r.add(Informational, "config/auto-tidy", "auto-tidy is off: what ended stays until somebody tidies")
	case !flag(f.Tidy, "tidy_cert_store") || !flag(f.Tidy, "tidy_revoked_certs"):
		r.add(Informational, "config/auto-tidy", "auto-tidy leaves out certificates or revocations: set tidy_cert_store and tidy_revoked_certs")
	case seconds(f.Tidy, "interval_duration") > 7*day:
		r.add(Informational, "config/auto-tidy", "auto-tidy runs each %s only", days(seconds(f.Tidy, "interval_duration")))
	}
}

// tidyAge is how old the last tidy may be: Vault's seven days, and more.
const (
	tidyAge      = 7 * day
	tidyTooOld   = 14 * day
	manyCerts    = 50_000
	tooManyCerts = 2_000_000
)

func checkTidyRan(f *Facts, r *report) {
	state, _ := f.TidyRan["state"].(string)
	switch state {
	case "", "Inactive":
		r.add(Informational, "tidy-status", "no tidy has ever run")
		return
	case "Error":
		r.add(Warning, "tidy-status", "the last tidy failed: %v", f.TidyRan["error"])
		return
	}
	text, _ := f.TidyRan["time_finished"].(string)
	ended, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return // it is running
	}
	switch age := f.Now.Sub(ended); {
	case age > tidyTooOld:
		r.add(Critical, "tidy-status", "the last tidy ended %s ago", days(age))
	case age > tidyAge:
		r.add(Warning, "tidy-status", "the last tidy ended %s ago", days(age))
	}
}

func checkCount(f *Facts, r *report) {
	switch {
	case f.Certificates < 0:
		r.add(NotApplicable, "certs", "how many certificates are stored is not known")
	case f.Certificates > tooManyCerts:
		r.add(Warning, "certs", "%d certificates are stored: tidy more often, or set no_store on roles that issue much", f.Certificates)
	case f.Certificates > manyCerts:
		r.add(Informational, "certs", "%d certificates are stored", f.Certificates)
	default:
		r.add(OK, "certs", "%d certificates are stored", f.Certificates)
	}
}
