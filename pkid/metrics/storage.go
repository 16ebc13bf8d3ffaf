package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hsmpki/hsmpki/pkid/store/pebblestore"
)

// storage watches the state.
type storage struct {
	of interface {
		Sizes() (pebblestore.Sizes, bool)
	}
}

var storageSize = prometheus.NewDesc("pkid_storage_bytes", "Size of the state: files on disk, the write-ahead log among them, and memory for it.", []string{"of"}, nil)

func (s *storage) Describe(to chan<- *prometheus.Desc) { to <- storageSize }

func (s *storage) Collect(to chan<- prometheus.Metric) {
	sizes, ok := s.of.Sizes()
	if !ok {
		return
	}
	for of, size := range map[string]uint64{"disk": sizes.Disk, "log": sizes.Log, "memory": sizes.Memory} {
		to <- prometheus.MustNewConstMetric(storageSize, prometheus.GaugeValue, float64(size), of)
	}
}
