package role_test

import (
	"crypto/mldsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"
	"testing"

	"github.com/hsmpki/hsmpki/pkid/role"
)

func mldsaKey(t testing.TB, set mldsa.Parameters) *mldsa.PrivateKey {
	t.Helper()
	key, err := mldsa.GenerateKey(set)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestMLDSAFields: the parameter set stands in key_bits, ML-DSA-65 by default,
// and signature_bits means nothing.
func TestMLDSAFields(t *testing.T) {
	for body, want := range map[string]int{
		`{"key_type":"ml-dsa"}`: 65, `{"key_type":"ml-dsa","key_bits":44}`: 44, `{"key_type":"ml-dsa","key_bits":"87","signature_bits":384}`: 87,
	} {
		r, warnings, err := role.FromParams(params(t, body))
		if err != nil {
			t.Fatal(err)
		}
		if r.KeyType != role.KeyMLDSA || r.KeyBits != want || r.SignatureBits != 0 {
			t.Errorf("%s: %s %d %d", body, r.KeyType, r.KeyBits, r.SignatureBits)
		}
		if told := strings.Contains(strings.Join(warnings, "\n"), "signature_bits means nothing with key_type ml-dsa"); told != strings.Contains(body, "signature_bits") {
			t.Errorf("%s: %q", body, warnings)
		}
		if kind, bits, err := r.LeafKey(&role.Wish{}); kind != role.KeyMLDSA || bits != want || err != nil {
			t.Errorf("%s: the leaf's key is %s %d, %v", body, kind, bits, err)
		}
	}
	r, _, err := role.FromParams(params(t, `{"key_type":"ec"}`))
	if err != nil {
		t.Fatal(err)
	}
	if merged, _, err := r.Merge(params(t, `{"key_type":"ml-dsa"}`)); err != nil || merged.KeyBits != 65 || merged.SignatureBits != 0 {
		t.Errorf("PATCH: %+v, %v", merged, err)
	}
}

// TestMLDSAKeyUsage: an ML-DSA key gets no key usage but for signing (RFC 9881,
// section 5), whatever the role has, and no certificate without one.
func TestMLDSAKeyUsage(t *testing.T) {
	key := mldsaKey(t, mldsa.MLDSA44())
	csr, err := role.ParseCSR(makeCSR(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "a"}}, key))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		usage string
		want  x509.KeyUsage
	}{
		{"DigitalSignature,KeyAgreement,KeyEncipherment", x509.KeyUsageDigitalSignature},
		{"ContentCommitment,DataEncipherment", x509.KeyUsageContentCommitment},
		{"", 0},
		{"KeyAgreement", -1},
	} {
		for _, keyType := range []string{"any", "ml-dsa"} {
			r := parseRole(t, []string{"allow_any_name=true", "key_bits=44", "key_type=" + keyType, "key_usage=" + c.usage})
			of := map[string]*role.CSR{"sign": csr, "issue": nil}
			for act, csr := range of {
				wish := &role.Wish{CommonName: "a", KeyType: "ml-dsa"}
				req, _, err := r.Request(wish, csr, terms(t))
				var refused *role.Refusal
				if c.want < 0 && !errors.As(err, &refused) || c.want >= 0 && (err != nil || req.KeyUsage != c.want) {
					t.Errorf("%s under %s with %q: %+v, %v", act, keyType, c.usage, req, err)
				}
			}
		}
	}
}
