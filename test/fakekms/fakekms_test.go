package fakekms_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/mldsa"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/hsmpki/hsmpki/test/fakekms"
)

// client is AWS's own, which knows nothing of the fake.
func client(s *fakekms.Server, secret string) *kms.Client {
	provider := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: fakekms.AccessKey, SecretAccessKey: secret}, nil
	})
	// AWS's client closes a request's body when the answer begins, and where its
	// transport has not looked for the end of it by then, that closes the
	// connection. By itself it would ask again then, and for other reasons.
	once := retry.NewStandard(func(o *retry.StandardOptions) {
		o.Retryables = []retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			return aws.BoolTernary(strings.Contains(err.Error(), "use of closed network connection"))
		})}
	})
	return kms.New(kms.Options{Region: fakekms.Region, BaseEndpoint: &s.URL, Credentials: provider, Retryer: once})
}

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	failure, ok := errors.AsType[smithy.APIError](err)
	if !ok || failure.ErrorCode() != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// TestLife makes, names, finds and uses a key with AWS's client.
func TestLife(t *testing.T) {
	s := fakekms.Start(t)
	c := client(s, fakekms.SecretKey)
	made, err := c.CreateKey(t.Context(), &kms.CreateKeyInput{KeySpec: types.KeySpecEccNistP256, KeyUsage: types.KeyUsageTypeSignVerify,
		Tags: []types.Tag{{TagKey: aws.String("a"), TagValue: aws.String("alias/b")}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String("alias/x"), TargetKeyId: made.KeyMetadata.KeyId}); err != nil {
		t.Fatal(err)
	}
	public, err := c.GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: aws.String("alias/x")})
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("message"))
	signed, err := c.Sign(t.Context(), &kms.SignInput{KeyId: made.KeyMetadata.Arn, Message: digest[:], MessageType: types.MessageTypeDigest, SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256})
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKIXPublicKey(public.PublicKey)
	if err != nil || !ecdsa.VerifyASN1(key.(*ecdsa.PublicKey), digest[:], signed.Signature) {
		t.Errorf("the signature does not verify (%v)", err)
	}
	if s.Count("Sign") != 1 || s.Calls()[3].RequestID == "" {
		t.Errorf("%d signatures counted, calls %v", s.Count("Sign"), s.Calls())
	}
}

// TestExternalMu signs with ML-DSA from μ (FIPS 204, section 6.2).
func TestExternalMu(t *testing.T) {
	s := fakekms.Start(t)
	c := client(s, fakekms.SecretKey)
	key := s.MakeKey("ML_DSA_65", "alias/pq")
	parsed, err := x509.ParsePKIXPublicKey(key.SPKI)
	if err != nil {
		t.Fatal(err)
	}
	public := parsed.(*mldsa.PublicKey)
	message := []byte("to be signed")
	tr := sha3.SumSHAKE256(public.Bytes(), 64)
	mu := sha3.SumSHAKE256(append(append(tr, 0, 0), message...), 64)
	signed, err := c.Sign(t.Context(), &kms.SignInput{KeyId: &key.ARN, Message: mu, MessageType: types.MessageTypeExternalMu, SigningAlgorithm: "ML_DSA_SHAKE_256"})
	if err != nil {
		t.Fatal(err)
	}
	if err := mldsa.Verify(public, message, signed.Signature, nil); err != nil {
		t.Error(err)
	}
	_, err = c.Sign(t.Context(), &kms.SignInput{KeyId: &key.ARN, Message: mu[:63], MessageType: types.MessageTypeExternalMu, SigningAlgorithm: "ML_DSA_SHAKE_256"})
	wantCode(t, "a short μ", err, "ValidationException")
}

// TestRefusals has the errors of the service.
func TestRefusals(t *testing.T) {
	s := fakekms.Start(t)
	c := client(s, fakekms.SecretKey)
	key := s.MakeKey("ECC_NIST_P384", "alias/x")
	sign := func(c *kms.Client, algorithm types.SigningAlgorithmSpec, kind types.MessageType, size int) error {
		_, err := c.Sign(t.Context(), &kms.SignInput{KeyId: &key.ARN, Message: make([]byte, size), MessageType: kind, SigningAlgorithm: algorithm})
		return err
	}
	wantCode(t, "another secret", sign(client(s, "another"), types.SigningAlgorithmSpecEcdsaSha384, types.MessageTypeDigest, 48), "InvalidSignatureException")
	wantCode(t, "a digest of 47 octets", sign(c, types.SigningAlgorithmSpecEcdsaSha384, types.MessageTypeDigest, 47), "ValidationException")
	wantCode(t, "another hash", sign(c, types.SigningAlgorithmSpecEcdsaSha256, types.MessageTypeDigest, 32), "InvalidKeyUsageException")
	wantCode(t, "4,097 octets", sign(c, types.SigningAlgorithmSpecEcdsaSha384, types.MessageTypeRaw, 4097), "ValidationException")
	s.SetState(key.ARN, "Disabled")
	wantCode(t, "disabled", sign(c, types.SigningAlgorithmSpecEcdsaSha384, types.MessageTypeDigest, 48), "DisabledException")
	s.SetState(key.ARN, "PendingDeletion")
	wantCode(t, "pending deletion", sign(c, types.SigningAlgorithmSpecEcdsaSha384, types.MessageTypeDigest, 48), "KMSInvalidStateException")
	_, err := c.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/nobody")})
	wantCode(t, "an unknown alias", err, "NotFoundException")
	s.Fail("DescribeKey", "ThrottlingException", 1)
	_, err = c.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/x")})
	wantCode(t, "throttled", err, "ThrottlingException")
	s.Expire(1)
	_, err = c.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/x")})
	wantCode(t, "expired", err, "ExpiredTokenException")
	s.Deny("DescribeKey", true)
	_, err = c.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/x")})
	wantCode(t, "denied", err, "AccessDeniedException")
}

// TestUnsigned: whoever has no credentials gets nothing.
func TestUnsigned(t *testing.T) {
	s := fakekms.Start(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", "TrentService.ListKeys")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 400 || !bytes.Contains(body, []byte("MissingAuthenticationToken")) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// TestLostAnswer: the work is done though nobody hears of it.
func TestLostAnswer(t *testing.T) {
	s := fakekms.Start(t)
	s.Lose("CreateKey", 1)
	_, err := client(s, fakekms.SecretKey).CreateKey(t.Context(), &kms.CreateKeyInput{KeySpec: types.KeySpecEccNistP256, KeyUsage: types.KeyUsageTypeSignVerify})
	if err == nil || len(s.Keys()) != 1 {
		t.Errorf("%v, and %d keys", err, len(s.Keys()))
	}
}
