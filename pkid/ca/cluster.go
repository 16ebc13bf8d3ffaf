package ca

import (
	"context"

	"github.com/hsmpki/hsmpki/pkid/store"
)

// Cluster is config/cluster: where this mount is found from outside, for
// templates of URLs and for ACME.
type Cluster struct {
	Path    string `json:"path"`
	AIAPath string `json:"aia_path"`
}

// Cluster gives config/cluster.
func (a *Authority) Cluster() Cluster { return a.view.Load().settings.Cluster }

// SetCluster changes what is not nil; an empty text takes a value away.
func (a *Authority) SetCluster(ctx context.Context, path, aiaPath *string) (now Cluster, err error) {
	err = a.change(ctx, func(v *view, tx store.Tx) error {
		now = v.settings.Cluster
		for _, field := range []struct {
			name string
			from *string
			to   *string
		}{{"path", path, &now.Path}, {"aia_path", aiaPath, &now.AIAPath}} {
			if field.from == nil {
				continue
			}
			if text := *field.from; text != "" && !isURL(text) {
				return refuse("invalid, non-URL %s given to cluster: %.200s", field.name, text)
			}
			*field.to = *field.from
		}
		v.settings.Cluster = now
		return v.putSettings(tx, a.space)
	})
	return now, err
}
