package bench_test

import (
	"encoding/json"
	"fmt"
	"net"
	"testing"
)

// BenchmarkIssuingByToken makes certificates for a peer with the root policy and,
// in turns, for a token that is another's child and has a policy of few rules.
func BenchmarkIssuingByToken(b *testing.B) {
	_, p, _ := startCA(b, "")
	watched := processes{"pkid": {p.PID()}}
	p.Must(b, "PUT", "sys/policies/acl/issuer", map[string]any{"policy": `path "pki/issue/+" { capabilities = ["update"] }
		path "pki/*" { capabilities = ["read"] }
		path "auth/token/create" { capabilities = ["update"] }`})
	token := func(by string) (id string) {
		const body = `{"policies":"issuer"}`
		conn, err := net.Dial("unix", p.Socket)
		if err != nil {
			b.Fatal(err)
		}
		c := newCaller(b, conn, withToken(post("auth/token/create", "application/json", body), by), "client_token")
		answer, err := c.answer()
		if err != nil {
			b.Fatal(err)
		}
		var made struct {
			Auth struct {
				ID string `json:"client_token"`
			}
		}
		if err := json.Unmarshal(answer, &made); err != nil {
			b.Fatal(err)
		}
		return made.Auth.ID
	}
	child := token(token(""))

	fmt.Printf("\n%s\n\n| callers | as a peer /s | with a token /s | CPU µs each: peer | token | more |\n|---|---|---|---|---|---|\n", machine())
	for _, callers := range []int{1, 8, 32} {
		var runs [2][]run
		for range rounds {
			for way, id := range []string{"", child} {
				var all []*caller
				for range callers {
					c := issuer(b, p, "issue", `{"common_name":"www.example.com"}`)
					c.request = withToken(c.request, id)
					all = append(all, c)
				}
				runs[way] = append(runs[way], load(b, callers, roundTime, watched, func(n int) error { return all[n].ask() }))
			}
		}
		peer, byToken := median(runs[0]), median(runs[1])
		before, after := peer.cpuEach("pkid").Microseconds(), byToken.cpuEach("pkid").Microseconds()
		fmt.Printf("| %d | %.0f | %.0f | %d | %d | %.1f %% |\n", callers, peer.perSecond(), byToken.perSecond(), before, after, 100*float64(after-before)/float64(before))
	}
}
