package awskms

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go/logging"

	"github.com/hsmpki/hsmpki/wire"
)

// identity is what tells accounts and regions apart, as far as definitions say
// it. Keys that are alike in it share credentials, connections and pace.
type identity struct{ accessKey, secretKey, region, endpoint string }

func identityOf(d *wire.AWSKMSDefinition) identity {
	return identity{d.AccessKey, d.SecretKey, d.Region, d.Endpoint}
}

const (
	// defaultRegion is Vault's, where nothing else says one.
	defaultRegion = "us-east-1"

	dialTime = 3 * time.Second

	// idle is how many connections are kept; the SDK's own default is 10.
	idle = 64

	// Besides signatures, for which see pace.go, these are far below the quotas
	// (2,000 and 5 a second).
	readRate = 300
	makeRate = 4
)

// account is one set of credentials in one region.
type account struct {
	id                     identity
	signing, reading, make *pace
	presence               *presence
	patience               time.Duration

	mu     sync.Mutex
	client *kms.Client
	config aws.Config
	public map[string][]byte // SubjectPublicKeyInfo by the key's ARN, which never changes
	other  map[string]bool   // ARNs of keys that hsmd did not make
	asked  []creation        // within the last hour

	making chan struct{} // taken by who makes a key
}

func newAccount(id identity, rate int, patience time.Duration) *account {
	return &account{id: id, presence: newPresence(), patience: patience, signing: newPace(rate), reading: newPace(readRate), make: newPace(makeRate),
		public: map[string][]byte{}, other: map[string]bool{}, making: make(chan struct{}, 1)}
}

// kms gives the client, which is made at the first use: files and variables of
// the credential chain are read then. A failure is not for good.
func (a *account) kms(ctx context.Context) (*kms.Client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.client != nil {
		return a.client, nil
	}
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(awshttp.NewBuildableClient().
			WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTime }).
			WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = idle })),
		// Who may try again, and what, is said in call.go. The SDK would make a
		// second key after a lost answer.
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		// The SDK logs requests at whim; they hold what is signed.
		config.WithLogger(logging.Nop{}),
	}
	if a.id.region != "" {
		options = append(options, config.WithRegion(a.id.region))
	}
	if a.id.accessKey != "" {
		options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(a.id.accessKey, a.id.secretKey, "")))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, wire.Errorf(wire.Invalid, "the AWS configuration that hsmd finds cannot be used: %v", err)
	}
	loaded.Region = cmp.Or(loaded.Region, defaultRegion)
	a.config = loaded
	a.client = kms.NewFromConfig(loaded, func(o *kms.Options) {
		if a.id.endpoint != "" {
			o.BaseEndpoint = aws.String(strings.TrimSuffix(a.id.endpoint, "/"))
		}
	})
	return a.client, nil
}

// renewCredentials drops credentials that were refused as expired, where there
// is somebody to ask for new ones.
func (a *account) renewCredentials() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	cache, ok := a.config.Credentials.(*aws.CredentialsCache)
	if ok && a.id.accessKey == "" {
		cache.Invalidate()
		return true
	}
	return false
}

// noCredentials is that nobody gives hsmd credentials: KMS was not asked.
type noCredentials struct{ why error }

func (e noCredentials) Error() string { return "hsmd has no AWS credentials: " + e.why.Error() }
func (e noCredentials) Unwrap() error { return e.why }

// haveCredentials has the client's credentials at hand. A failure to get them is
// not KMS's, though the client would say so.
func haveCredentials(ctx context.Context, client *kms.Client) error {
	if _, err := client.Options().Credentials.Retrieve(ctx); err != nil {
		return noCredentials{err}
	}
	return nil
}
