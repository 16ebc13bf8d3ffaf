package awskms

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/hsmpki/hsmpki/wire"
)

// meanings are KMS's errors in the protocol's words. What an error says beyond
// its code is told only where it is KMS's own text: a ValidationException echoes
// the message that was to be signed.
var meanings = map[string]struct {
	code  wire.Code
	words string
	told  bool
}{
	"NotFoundException":         {wire.UnknownKey, "there is no such key", false},
	"DisabledException":         {wire.Denied, "the key is disabled in KMS", false},
	"KMSInvalidStateException":  {wire.Denied, "the key's state in KMS does not allow it; it may be pending deletion", false},
	"AccessDeniedException":     {wire.Denied, "KMS denies access (IAM or key policy)", true},
	"InvalidKeyUsageException":  {wire.Invalid, "the key does not sign so", false},
	"ValidationException":       {wire.Invalid, "KMS takes the request for malformed", false},
	"InvalidAliasNameException": {wire.Invalid, "KMS does not take the alias", false},
	"InvalidArnException":       {wire.Invalid, "KMS does not take the ARN", false},
	"TagException":              {wire.Invalid, "KMS does not take the tags", true},
	"LimitExceededException":    {wire.Denied, "the account has as many keys or aliases as it may", true},

	"ExpiredTokenException":               {wire.LoginRefused, "the AWS credentials have expired", false},
	"ExpiredToken":                        {wire.LoginRefused, "the AWS credentials have expired", false},
	"UnrecognizedClientException":         {wire.LoginRefused, "KMS does not know the AWS access key", false},
	"InvalidClientTokenId":                {wire.LoginRefused, "KMS does not know the AWS access key", false},
	"InvalidSignatureException":           {wire.LoginRefused, "KMS refuses the AWS secret key, region or time", false},
	"SignatureDoesNotMatch":               {wire.LoginRefused, "KMS refuses the AWS secret key", false},
	"IncompleteSignatureException":        {wire.LoginRefused, "KMS refuses the AWS credentials", false},
	"MissingAuthenticationTokenException": {wire.LoginRefused, "KMS wants AWS credentials", false},
}

// again is when a caller may come back after what passes by itself.
const again = time.Second

// failure is an error in the protocol's words; what is what was tried, with whose
// key.
func (k *key) failure(what string, err error) error {
	if own, ok := errors.AsType[*wire.Error](err); ok {
		return own
	}
	where := fmt.Sprintf("managed key %q: %s in AWS KMS: ", k.name, what)
	code := apiCode(err)
	tail := ""
	if code != "" {
		tail = " (" + code + requestOf(err) + ")"
	}
	if m, ok := meanings[code]; ok {
		if m.told {
			m.words += ": " + shorten(message(err))
		}
		return wire.Errorf(m.code, "%s%s%s", where, m.words, tail)
	}
	switch {
	case isThrottled(code):
		return &wire.Error{Code: wire.Busy, RetryAfter: again, Message: where + "the account's quota is used up" + tail}
	case code != "" && !isPassing(err):
		return wire.Errorf(wire.Internal, "%sit fails%s", where, tail)
	case code != "":
		return &wire.Error{Code: wire.Unavailable, RetryAfter: again, Message: where + "KMS is at fault" + tail}
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		return &wire.Error{Code: wire.Unavailable, RetryAfter: again, Message: where + "no answer in time"}
	}
	return &wire.Error{Code: wire.Unavailable, RetryAfter: again, Message: where + shorten(err.Error())}
}

// notKMS is the fault of an answer that lacks what KMS always says: whatever
// stands at an endpoint, hsmd, which keeps the tokens too, does not fall over it.
func (k *key) notKMS(what string) error {
	return wire.Errorf(wire.Internal, "managed key %q: %s in AWS KMS: the answer is not one of KMS's", k.name, what)
}

func apiCode(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func message(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorMessage()
	}
	return ""
}

func requestOf(err error) string {
	if e, ok := errors.AsType[*awshttp.ResponseError](err); ok && e.RequestID != "" {
		return ", request " + e.RequestID
	}
	return ""
}

func isThrottled(code string) bool {
	return code == "ThrottlingException" || code == "Throttling" || code == "RequestLimitExceeded" || code == "TooManyRequestsException"
}

func isExpired(code string) bool { return code == "ExpiredTokenException" || code == "ExpiredToken" }

// isSkewed reports whether the SDK takes an error for that of a clock which is
// minutes from KMS's. Its client signs with KMS's time from then on.
func isSkewed(err error) bool {
	var e interface{ RetryableError() bool }
	return answered(err) != 0 && errors.As(err, &e) && e.RetryableError()
}

// isPassing reports whether KMS or the network was at fault, and the same request
// may succeed at once.
func isPassing(err error) bool {
	if _, own := errors.AsType[*wire.Error](err); own {
		return false
	}
	return answered(err) == 0 || answered(err) >= 500
}

// answered gives the HTTP status of an answer; 0 where there was none to be had.
// One of success that comes with an error is such: it broke off.
func answered(err error) int {
	if e, ok := errors.AsType[*awshttp.ResponseError](err); ok && e.HTTPStatusCode() >= 300 {
		return e.HTTPStatusCode()
	}
	return 0
}

// notMade reports whether KMS has, for certain, not done what it was asked for.
func notMade(err error) bool {
	if _, own := errors.AsType[*wire.Error](err); own {
		return true
	}
	if status := answered(err); status != 0 {
		return status < 500
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

const maxWords = 300

func shorten(s string) string {
	if len(s) > maxWords {
		return s[:maxWords] + "…"
	}
	return s
}
