package wire

// Number is something that a service counts or measures, for those who watch it
// (StatusRequest.Numbers). Names and labels are as Prometheus has them, without
// a prefix; all that were ever counted are sent, so that a sum never falls but
// when the service starts anew.
type Number struct {
	Name   string            `cbor:"1,keyasint"`
	Labels map[string]string `cbor:"2,keyasint,omitempty"`
	Value  float64           `cbor:"3,keyasint,omitempty"`
	Gauge  bool              `cbor:"4,keyasint,omitempty"` // goes up and down; else it is a sum

	// Of a histogram: the upper bounds of its buckets in seconds, how many were
	// at or below each, and the sum of all; Value is how many there were.
	Bounds []float64 `cbor:"5,keyasint,omitempty"`
	Counts []uint64  `cbor:"6,keyasint,omitempty"`
	Sum    float64   `cbor:"7,keyasint,omitempty"`
}
