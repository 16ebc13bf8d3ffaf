package lint

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/agext/levenshtein"
	"github.com/zmap/zlint/v3/lint"

	// Each registers its lints.
	_ "github.com/zmap/zlint/v3/lints/apple"
	_ "github.com/zmap/zlint/v3/lints/cabf_br"
	_ "github.com/zmap/zlint/v3/lints/cabf_cs_br"
	_ "github.com/zmap/zlint/v3/lints/cabf_ev"
	_ "github.com/zmap/zlint/v3/lints/cabf_smime_br"
	_ "github.com/zmap/zlint/v3/lints/chrome"
	_ "github.com/zmap/zlint/v3/lints/community"
	_ "github.com/zmap/zlint/v3/lints/etsi"
	_ "github.com/zmap/zlint/v3/lints/mozilla"
	_ "github.com/zmap/zlint/v3/lints/rfc"
)

// sources are the sets of lints, as zlint calls them, that look at certificates
// or CRLs. The first is always on.
var sources = []lint.LintSource{
	lint.RFC5280,
	lint.CABFBaselineRequirements, lint.CABFEVGuidelines, lint.CABFSMIMEBaselineRequirements, lint.CABFCSBaselineRequirements,
	lint.RFC3279, lint.RFC5480, lint.RFC5891, lint.RFC6962, lint.RFC8813,
	lint.MozillaRootStorePolicy, lint.AppleRootStorePolicy, lint.ChromeRootStorePolicy, lint.EtsiEsi, lint.Community,
}

// sourceBits has one bit for each source.
var sourceBits = func() map[lint.LintSource]uint32 {
	bits := map[lint.LintSource]uint32{}
	for i, s := range sources {
		bits[s] = 1 << i
	}
	return bits
}()

// mask is RFC 5280's bit and those of the named sources.
func mask(names []string) uint32 {
	bits := sourceBits[lint.RFC5280]
	for _, name := range names {
		bits |= sourceBits[lint.LintSource(name)]
	}
	return bits
}

// lints are zlint's in order of name, each with its source's bit.
type lints struct {
	certificate []sourced[*lint.CertificateLint]
	crl         []sourced[*lint.RevocationListLint]
	names       map[string]bool // with NameParse
}

type sourced[L any] struct {
	source uint32
	lint   L
}

// known are all lints of the sources.
var known = sync.OnceValue(func() *lints {
	k := &lints{names: map[string]bool{NameParse: true}}
	certificate, crl := lint.GlobalRegistry().CertificateLints(), lint.GlobalRegistry().RevocationListLints()
	for _, name := range certificate.Names() {
		l := certificate.ByName(name)
		k.certificate, k.names[name] = append(k.certificate, sourced[*lint.CertificateLint]{sourceBits[l.Source], l}), true
	}
	for _, name := range crl.Names() {
		l := crl.ByName(name)
		k.crl, k.names[name] = append(k.crl, sourced[*lint.RevocationListLint]{sourceBits[l.Source], l}), true
	}
	return k
})

// CheckSources refuses names of sources that do not exist. It returns the list
// with each source once and in zlint's spelling, whatever the case was.
func CheckSources(names []string) ([]string, error) {
	checked := []string{}
	for _, name := range names {
		i := slices.IndexFunc(sources, func(s lint.LintSource) bool { return strings.EqualFold(string(s), name) })
		if i < 0 {
			return nil, fmt.Errorf("unknown source of lints %q: there are %s", name, sourceNames())
		}
		if spelt := string(sources[i]); !slices.Contains(checked, spelt) {
			checked = append(checked, spelt)
		}
	}
	return checked, nil
}

func sourceNames() string {
	var names []string
	for _, s := range sources {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// CheckWaive refuses names that no lint has, with the nearest that one has.
func CheckWaive(names []string) error {
	for _, name := range names {
		if known().names[name] {
			continue
		}
		if near := nearest(name); near != "" {
			return fmt.Errorf("unknown lint %q: is %q meant?", name, near)
		}
		return fmt.Errorf("unknown lint %q: names are zlint's, or %q", name, NameParse)
	}
	return nil
}

// nearest is the known name that is most like the given one: at least half of
// it must be the same, and a name is only looked at as far as lint names go.
func nearest(name string) string {
	name = strings.ToLower(name[:min(len(name), 128)])
	best, score := "", 0.5
	for known := range known().names {
		if s := levenshtein.Similarity(name, known, nil); s > score || s == score && known < best {
			best, score = known, s
		}
	}
	return best
}
