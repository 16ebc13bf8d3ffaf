// Package health looks at a CA's facts and says what an operator should mend:
// what Vault's "pki health-check" looks at, role settings that are risky, and
// how hsmd is. It is pure: who gathers the facts is pkid/cli.
//
// Start with [Check]; each check is a function in the file named after what it
// looks at.
package health

import (
	"crypto/x509"
	"time"
)

// Status is how bad a finding is.
type Status int

// From good to bad.
const (
	OK Status = iota
	NotApplicable
	Informational
	Warning
	Critical
)

var statusNames = [...]string{"ok", "not_applicable", "informational", "warning", "critical"}

// String is the status in Vault's words.
func (s Status) String() string { return statusNames[s] }

// MarshalText writes a status as String does.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Result is one finding. Endpoint is the API path at which it can be mended.
type Result struct {
	Check    string `json:"check" yaml:"check"`
	Status   Status `json:"status" yaml:"status"`
	Endpoint string `json:"endpoint" yaml:"endpoint"`
	Message  string `json:"message" yaml:"message"`
}

// Facts are what the checks look at.
type Facts struct {
	Mount   string // "pki"
	Now     time.Time
	Tune    map[string]any // sys/mounts/:mount/tune
	Issuers []Issuer
	Roles   []Role
	CRL     map[string]any // config/crl
	Lint    map[string]any // config/lint
	Tidy    map[string]any // config/auto-tidy
	TidyRan map[string]any // tidy-status
	// Certificates are how many are stored, -1 if that is not known.
	Certificates int64
	HSM          *HSM
}

// Issuer is an issuer with its CRLs, nil where there are none.
type Issuer struct {
	ID, Name    string
	Default     bool
	Certificate *x509.Certificate
	Usage       string
	ManagedKey  string // "" where the issuer has no key here
	CRL, Delta  *x509.RevocationList
	CRLError    string // why there is no CRL
	// Leaves are the serial numbers of some certificates that are valid, not of
	// a CA, and of this issuer.
	Leaves []string
}

// label is how people know the issuer.
func (i *Issuer) label() string {
	if i.Name != "" {
		return i.Name
	}
	return i.ID
}

func (i *Issuer) isRoot() bool { return i.Certificate.CheckSignatureFrom(i.Certificate) == nil }

// Role is a role as the API answers it.
type Role struct {
	Name   string
	Fields map[string]any
}

// HSM is what hsmd says of itself. Error is why it says nothing.
type HSM struct {
	Error     string
	Libraries []Library
	Copies    []Copy
}

// Copy is one of the tokens of a key that is on several; Fault is why it is not
// used.
type Copy struct {
	Key, Library, Token, Fault string
}

// Library is one PKCS#11 library and its tokens.
type Library struct {
	Name, Fault string
	Tokens      []Token
}

// Token is one token; Flags are PKCS#11's in lower case, without CKF_.
type Token struct {
	Label string
	Flags []string
}

// checks are all of them, in the order in which they are shown. Vault's
// allow_if_modified_since is not among them: whoever asks whether a CRL or a CA
// certificate has changed is heard without a setting.
var checks = []struct {
	name string
	what string
	run  func(f *Facts, r *report)
}{
	{"hsmd", "hsmd answers, its libraries and tokens work, and no PIN is about to be locked", checkHSM},
	{"ca_validity_period", "CA certificates are valid for long enough", checkCAValidity},
	{"crl_validity_period", "CRLs, and delta CRLs, are not about to end", checkCRLValidity},
	{"hardware_backed_root", "the keys of CAs are managed keys", checkHardwareBacked},
	{"root_issued_leaves", "roots issue CA certificates only", checkRootLeaves},
	{"role_allows_localhost", "no role lets certificates for localhost be issued", checkLocalhost},
	{"role_allows_glob_wildcards", "no role lets globs and wildcards be combined", checkGlobWildcards},
	{"role_allows_any_name", "no role lets any name be issued", checkAnyName},
	{"role_validity", "no role gives certificates that outlive their issuer or have no bound", checkRoleValidity},
	{"role_no_store_false", "roles that issue much do not bloat the store while CRLs are not rebuilt by themselves", checkNoStore},
	{"linting", "certificates and CRLs are looked at before they are signed", checkLinting},
	{"audit_visibility", "what an auditor needs is readable in the audit log", checkAudit},
	{"enable_auto_tidy", "what ended is tidied by itself", checkAutoTidy},
	{"tidy_last_run", "a tidy has ended well lately", checkTidyRan},
	{"too_many_certs", "the store is not fuller than it need be", checkCount},
}

// Names lists the checks with what each means.
func Names() [][2]string {
	var names [][2]string
	for _, c := range checks {
		names = append(names, [2]string{c.name, c.what})
	}
	return names
}

// Check runs all checks. A check that finds nothing to say says OK once.
func Check(f *Facts) []Result {
	r := &report{facts: f}
	for _, c := range checks {
		r.check = c.name
		before := len(r.results)
		c.run(f, r)
		if len(r.results) == before {
			r.add(OK, "", "%s", c.what)
		}
	}
	return r.results
}

// Worst is the worst status among results.
func Worst(results []Result) Status {
	worst := OK
	for _, r := range results {
		if r.Status != NotApplicable {
			worst = max(worst, r.Status)
		}
	}
	return worst
}
