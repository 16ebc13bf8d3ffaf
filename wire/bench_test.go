package wire_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/hsmpki/hsmpki/wire"
)

// BenchmarkSign is one hop: a request with a message of 700 octets, an answer
// of 72, nothing done between.
func BenchmarkSign(b *testing.B) {
	signature := make([]byte, 72)
	svc := &echo{sign: func(context.Context, *wire.SignRequest) (*wire.SignResponse, error) {
		return &wire.SignResponse{Signature: signature}, nil
	}}
	request := &wire.SignRequest{Key: "issuing-2026", SPKI: make([]byte, 32), Scheme: wire.ECDSAP256SHA256, Message: make([]byte, 700), Context: "pki 00000000-0000-0000-0000-000000000000"}
	for _, callers := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			client, _ := pair(b, svc, wire.ServeConfig{})
			b.SetParallelism(max(1, callers/2))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := client.Sign(context.Background(), request); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
