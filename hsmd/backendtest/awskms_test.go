package backendtest_test

import (
	"log/slog"
	"testing"

	"github.com/hsmpki/hsmpki/hsmd/awskms"
	"github.com/hsmpki/hsmpki/hsmd/backendtest"
	"github.com/hsmpki/hsmpki/test/fakekms"
	"github.com/hsmpki/hsmpki/wire"
)

// TestAWSKMS runs the suite with AWS KMS.
func TestAWSKMS(t *testing.T) {
	backendtest.RunKMS(t, func(t *testing.T) *backendtest.Backend {
		kms := fakekms.Start(t)
		again := func(t *testing.T) wire.Service {
			return awskms.New(awskms.Config{Log: slog.New(slog.DiscardHandler), Creations: 100})
		}
		return &backendtest.Backend{Service: again(t), Again: again, Worker: &wire.WorkerConfig{}, Types: append(everyType, wire.KeyMLDSA44, wire.KeyMLDSA65, wire.KeyMLDSA87),
			KMS: &wire.AWSKMSDefinition{AccessKey: fakekms.AccessKey, SecretKey: fakekms.SecretKey, Region: fakekms.Region, Endpoint: kms.URL, RequestsPerSecond: 100_000}}
	})
}
