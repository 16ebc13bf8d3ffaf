package wire

import (
	"bytes"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Limits of the protocol, which both ends keep.
const (
	MaxFrame     = 64 << 10 // octets of a frame after its length
	MaxHandshake = 1 << 10  // octets of a frame of the handshake
	MaxInline    = 48 << 10 // octets of a message inside a sign request; longer ones go in parts
	MaxPart      = 32 << 10 // octets of a message in one part
	PartWindow   = 4        // parts that may be sent ahead of credit
	MaxAnswer    = 4 << 20  // octets of an answer's body, all of its frames together
	maxText      = 4 << 10  // octets of a failure's message
)

// encoder is deterministic: shortest lengths, keys in order (RFC 8949, section
// 4.2.1).
var encoder = must(cbor.EncOptions{
	Sort: cbor.SortCoreDeterministic, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
}.UserBufferEncMode())

// decoder refuses whatever an encoder like ours does not write: keys that are
// unknown or stand there twice, indefinite lengths, tags, invalid UTF-8.
var decoder = must(cbor.DecOptions{
	DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
	ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, UTF8: cbor.UTF8RejectInvalid,
	MaxNestedLevels: 8, MaxArrayElements: 16384, MaxMapPairs: 64,
}.DecMode())

func must[T any](v T, err error) T {
	if err != nil {
		panic("wire: options of the codec: " + err.Error())
	}
	return v
}

// encode appends v to b.
func encode(b *bytes.Buffer, v any) error { return encoder.MarshalToBuffer(v, b) }

// decode reads exactly one value.
func decode(raw []byte, v any) error {
	if err := decoder.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("malformed CBOR: %v", err) // not wrapped: io.EOF in it is not the end of the stream
	}
	return nil
}

// decodeFirst reads one value and gives what follows it.
func decodeFirst(raw []byte, v any) ([]byte, error) {
	rest, err := decoder.UnmarshalFirst(raw, v)
	if err != nil {
		return nil, fmt.Errorf("malformed CBOR: %v", err)
	}
	return rest, nil
}
