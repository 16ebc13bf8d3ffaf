package bench_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/hsmpki/hsmpki/test/collector"
	"github.com/hsmpki/hsmpki/test/daemon"
)

// BenchmarkIssuingAudited makes certificates, in turns, at a pkid that keeps no
// audit log and at one that does, on the file system that its state is on.
func BenchmarkIssuingAudited(b *testing.B) {
	issuingBeside(b, fmt.Sprintf("audit_log = %q\n", filepath.Join(b.TempDir(), "audit.log")))
}

// BenchmarkIssuingTraced does so at a pkid that makes no traces and at one that
// traces each request. The collector is on the same processors.
func BenchmarkIssuingTraced(b *testing.B) {
	issuingBeside(b, fmt.Sprintf("tracing { endpoint = %q }\n", collector.Start(b).URL))
}

// issuingBeside compares a pkid with another that has more in its configuration.
func issuingBeside(b *testing.B, more string) {
	_, without, _ := startCA(b, "")
	_, with, _ := startCA(b, more)

	fmt.Printf("\n%s\n\n| callers | without /s | with /s | CPU µs each: without | with | more |\n|---|---|---|---|---|---|\n", machine())
	for _, callers := range []int{1, 8, 32} {
		var runs [2][]run
		for range rounds {
			for way, p := range []*daemon.PKID{without, with} {
				var all []*caller
				for range callers {
					all = append(all, issuer(b, p, "issue", `{"common_name":"www.example.com"}`))
				}
				runs[way] = append(runs[way], load(b, callers, roundTime, processes{"pkid": {p.PID()}}, func(n int) error { return all[n].ask() }))
			}
		}
		bare, other := median(runs[0]), median(runs[1])
		before, after := bare.cpuEach("pkid").Microseconds(), other.cpuEach("pkid").Microseconds()
		fmt.Printf("| %d | %.0f | %.0f | %d | %d | %.1f %% |\n", callers, bare.perSecond(), other.perSecond(), before, after, 100*float64(after-before)/float64(before))
	}
}
