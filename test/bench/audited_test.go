package bench_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// BenchmarkIssuingAudited makes certificates, in turns, at a pkid that keeps no
// audit log and at one that does, on the file system that its state is on.
func BenchmarkIssuingAudited(b *testing.B) {
	_, without, _ := startCA(b, "")
	_, with, _ := startCA(b, fmt.Sprintf("audit_log = %q\n", filepath.Join(b.TempDir(), "audit.log")))

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
		bare, audited := median(runs[0]), median(runs[1])
		before, after := bare.cpuEach("pkid").Microseconds(), audited.cpuEach("pkid").Microseconds()
		fmt.Printf("| %d | %.0f | %.0f | %d | %d | %.1f %% |\n", callers, bare.perSecond(), audited.perSecond(), before, after, 100*float64(after-before)/float64(before))
	}
}
