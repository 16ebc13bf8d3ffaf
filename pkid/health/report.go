package health

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// report gathers results.
type report struct {
	facts   *Facts
	check   string
	results []Result
}

// add adds a finding about a path below the mount.
func (r *report) add(s Status, path, format string, args ...any) {
	r.results = append(r.results, Result{r.check, s, strings.TrimSuffix(r.facts.Mount+"/"+path, "/"), fmt.Sprintf(format, args...)})
}

// addAt adds a finding about any path.
func (r *report) addAt(s Status, endpoint, format string, args ...any) {
	r.results = append(r.results, Result{r.check, s, endpoint, fmt.Sprintf(format, args...)})
}

// The fields of the API's answers as they come out of JSON.

func flag(fields map[string]any, name string) bool { return fields[name] == true }

func list(fields map[string]any, name string) []string {
	items, _ := fields[name].([]any)
	texts := make([]string, 0, len(items))
	for _, i := range items {
		texts = append(texts, fmt.Sprint(i))
	}
	return texts
}

func seconds(fields map[string]any, name string) time.Duration {
	switch n := fields[name].(type) {
	case json.Number:
		i, _ := n.Int64()
		return time.Duration(i) * time.Second
	case float64:
		return time.Duration(n) * time.Second
	}
	return 0
}

// lacking are the names that are in wanted and not among those of a field.
func lacking(fields map[string]any, name string, wanted ...string) (missing []string) {
	have := list(fields, name)
	for _, w := range wanted {
		if !slices.ContainsFunc(have, func(h string) bool { return strings.EqualFold(h, w) }) {
			missing = append(missing, w)
		}
	}
	return missing
}

// days writes a duration for people.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
