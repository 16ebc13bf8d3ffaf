package awskms

import (
	"cmp"
	"context"
	"net"
	"net/http"
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
	chain  *chain            // nil: to be read
	public map[string][]byte // SubjectPublicKeyInfo by the key's ARN, which never changes
	other  map[string]bool   // ARNs of keys that hsmd did not make
	asked  []creation        // within the last hour

	making chan struct{} // taken by who makes a key
}

func newAccount(id identity, rate int, patience time.Duration) *account {
	return &account{id: id, presence: newPresence(), patience: patience, signing: newPace(rate), reading: newPace(readRate), make: newPace(makeRate),
		public: map[string][]byte{}, other: map[string]bool{}, making: make(chan struct{}, 1)}
}

// chain is a client with what hsmd's surroundings say: the region, where the
// definition does not, and the credentials.
type chain struct {
	client *kms.Client
	config aws.Config
}

// connect gives the client, which is made at the first use: files and variables
// are read then. A failure is not for good.
func (a *account) connect(ctx context.Context) (*chain, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.chain != nil {
		return a.chain, nil
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
	loaded.HTTPClient = inMemory{loaded.HTTPClient}
	client := kms.NewFromConfig(loaded, func(o *kms.Options) {
		if a.id.endpoint != "" {
			o.BaseEndpoint = aws.String(a.id.endpoint)
		}
	})
	a.chain = &chain{client, loaded}
	return a.chain, nil
}

// authenticate has the credentials looked for where that is not done yet, so that
// their not being there is not taken for a fault of KMS.
func (a *account) authenticate(ctx context.Context, c *chain) error {
	if a.id.accessKey != "" {
		return nil
	}
	trying, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	if _, err := c.config.Credentials.Retrieve(trying); err != nil {
		a.renewCredentials()
		return &wire.Error{Code: wire.Unavailable, RetryAfter: again, Message: "hsmd has no AWS credentials: " + shorten(err.Error())}
	}
	return nil
}

// renewCredentials has the surroundings read anew where the credentials are from
// there: whoever gave hsmd those that have expired may have given it others.
func (a *account) renewCredentials() bool {
	if a.id.accessKey != "" {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.chain = nil
	return true
}
