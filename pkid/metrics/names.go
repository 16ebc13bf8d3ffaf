package metrics

import (
	"maps"
	"regexp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Names lists what is watched, but for what the Go runtime and the process say
// of themselves.
func Names() []string {
	names := []string{"pkid_build_info", requestName}
	for _, d := range []*prometheus.Desc{
		storageSize, certificates, revoked, expiring, issuerEnd, listNumber, listMade, listEnd, listAge, listEntries, listSize,
		hsmdUp, hsmdStarted, libraryUp, tokenIn, sessions, breakerOpen, copyUsed, spans,
	} {
		names = append(names, nameOf.FindStringSubmatch(d.String())[1])
	}
	for _, name := range slices.Sorted(maps.Keys(help)) {
		names = append(names, "hsmd_"+name)
	}
	return names
}

var nameOf = regexp.MustCompile(`fqName: "([^"]+)"`)
