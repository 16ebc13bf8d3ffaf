package fakekms

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tag is one as the API writes it.
type tag struct{ TagKey, TagValue string }

// request has the fields of all operations' requests.
type request struct {
	KeyId, KeySpec, KeyUsage, Description, Origin string
	AliasName, TargetKeyId                        string
	Message                                       []byte
	MessageType, SigningAlgorithm                 string
	Tags                                          []tag
	Marker                                        string
	Limit                                         int
	MultiRegion, BypassPolicyLockoutSafetyCheck   bool
}

// do does the work of one request.
func (s *Server) do(operation string, body []byte) (any, *Failure) {
	var r request
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, fail("SerializationException", "")
	}
	switch operation {
	case "CreateKey":
		return s.createKey(&r)
	case "CreateAlias":
		return s.createAlias(&r)
	case "ListKeys":
		return s.listKeys(&r)
	case "DescribeKey", "GetPublicKey", "Sign", "ListResourceTags":
	default:
		return nil, fail("UnknownOperationException", "")
	}
	s.mu.Lock()
	k, failure := s.find(r.KeyId)
	var state string
	if failure == nil {
		state = k.State
	}
	s.mu.Unlock()
	if failure != nil {
		return nil, failure
	}
	switch operation {
	case "DescribeKey":
		return map[string]any{"KeyMetadata": k.metadata(state)}, nil
	case "ListResourceTags":
		tags := []tag{}
		for name, value := range k.Tags {
			tags = append(tags, tag{name, value})
		}
		return map[string]any{"Tags": tags, "Truncated": false}, nil
	}
	// With the key itself only while it may be used.
	switch state {
	case "Disabled":
		return nil, fail("DisabledException", k.ARN+" is disabled.")
	case "PendingDeletion":
		return nil, fail("KMSInvalidStateException", k.ARN+" is pending deletion.")
	}
	if operation == "GetPublicKey" {
		return map[string]any{"KeyId": k.ARN, "KeySpec": k.Spec, "KeyUsage": k.Usage, "PublicKey": k.SPKI, "SigningAlgorithms": k.algorithms()}, nil
	}
	signature, failure := k.sign(r.SigningAlgorithm, r.MessageType, r.Message)
	if failure != nil {
		return nil, failure
	}
	return map[string]any{"KeyId": k.ARN, "Signature": signature, "SigningAlgorithm": r.SigningAlgorithm}, nil
}

func (k *Key) algorithms() (names []string) {
	for name := range algorithms[k.Spec] {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (k *Key) metadata(state string) map[string]any {
	return map[string]any{"Arn": k.ARN, "KeyId": k.ID, "AWSAccountId": Account, "CreationDate": float64(k.Created.UnixMilli()) / 1000,
		"Enabled": state == "Enabled", "KeyState": state, "KeyUsage": k.Usage, "KeySpec": k.Spec, "CustomerMasterKeySpec": k.Spec,
		"SigningAlgorithms": k.algorithms(), "Origin": "AWS_KMS", "KeyManager": "CUSTOMER", "MultiRegion": false, "Description": ""}
}

// find finds a key by id, ARN, alias or alias's ARN, as far as it has got around
// that it is there.
func (s *Server) find(id string) (*Key, *Failure) {
	now := time.Now()
	name := strings.TrimPrefix(id, "arn:aws:kms:"+s.region+":"+Account+":")
	if strings.HasPrefix(name, "alias/") {
		if a := s.aliases[name]; a != nil && !now.Before(a.seen) {
			return a.target, nil
		}
		return nil, fail("NotFoundException", "Alias arn:aws:kms:"+s.region+":"+Account+":"+name+" is not found.")
	}
	for _, k := range s.keys {
		if (k.ARN == id || k.ID == id) && !now.Before(k.seen) {
			return k, nil
		}
	}
	return nil, fail("NotFoundException", "Key '"+id+"' does not exist")
}

func (s *Server) createKey(r *request) (any, *Failure) {
	if r.KeyUsage != "SIGN_VERIFY" {
		return nil, fail("UnsupportedOperationException", "only signing keys are made here")
	}
	k, failure := s.newKey(r.KeySpec)
	if failure != nil {
		return nil, failure
	}
	for _, t := range r.Tags {
		if t.TagKey == "" || strings.HasPrefix(t.TagKey, "aws:") || !regexp.MustCompile(`^[\pL\pN _.:/=+\-@]*$`).MatchString(t.TagKey+t.TagValue) {
			return nil, fail("TagException", "Tag key or value is invalid")
		}
		k.Tags[t.TagKey] = t.TagValue
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k.seen = k.Created.Add(s.faults.settle)
	s.keys = append(s.keys, k)
	return map[string]any{"KeyMetadata": k.metadata(k.State)}, nil
}

var aliasName = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]+$`)

func (s *Server) createAlias(r *request) (any, *Failure) {
	if !aliasName.MatchString(r.AliasName) || strings.HasPrefix(r.AliasName, "alias/aws/") {
		return nil, fail("InvalidAliasNameException", "Invalid alias name")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aliases[r.AliasName] != nil {
		return nil, fail("AlreadyExistsException", "An alias with the name arn:aws:kms:"+s.region+":"+Account+":"+r.AliasName+" already exists")
	}
	k, failure := s.find(r.TargetKeyId)
	if failure != nil {
		return nil, failure
	}
	s.aliases[r.AliasName] = &aliasEntry{target: k, seen: time.Now().Add(s.faults.settle)}
	return map[string]any{}, nil
}

// listKeys lists in pages of at most 100, so that paging is walked in tests.
func (s *Server) listKeys(r *request) (any, *Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	from, _ := strconv.Atoi(r.Marker)
	limit := 100
	if r.Limit > 0 {
		limit = min(limit, r.Limit)
	}
	list := []map[string]string{}
	at := from
	for ; at < len(s.keys) && len(list) < limit; at++ {
		if k := s.keys[at]; !now.Before(k.seen) {
			list = append(list, map[string]string{"KeyId": k.ID, "KeyArn": k.ARN})
		}
	}
	answer := map[string]any{"Keys": list, "Truncated": at < len(s.keys)}
	if at < len(s.keys) {
		answer["NextMarker"] = strconv.Itoa(at)
	}
	return answer, nil
}
