package faultmodule

import (
	"crypto/mldsa"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
)

// MLDSA gives the token ML-DSA (PKCS#11 3.2), which the real module has not:
// CKM_ML_DSA and CKM_ML_DSA_KEY_PAIR_GEN, and keys with CKA_PARAMETER_SET. The
// private keys are in the test's process, for as long as the test lasts, so that
// a crashed worker loses none. It is to be called before Env is used.
func (m *Module) MLDSA(t testing.TB) {
	t.Helper()
	path := filepath.Join(filepath.Dir(m.Library), "mldsa")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	keys := &mldsaKeys{byID: map[string]*mldsa.PrivateKey{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				keys.serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	m.Env["FAULT_MLDSA"] = path
}

// mldsaKeys are by the CKA_ID of the key pair on the token.
type mldsaKeys struct {
	mu   sync.Mutex
	byID map[string]*mldsa.PrivateKey
}

// serve answers the one request of a connection, as mldsa.c asks: three words
// (operation, length of the id, of the data), then these. The answer is a length
// and that many octets: 0 for a key that is not there.
func (k *mldsaKeys) serve(conn net.Conn) {
	var head [3]uint32
	if binary.Read(conn, binary.NativeEndian, &head) != nil {
		return
	}
	body := make([]byte, head[1]+head[2])
	if _, err := io.ReadFull(conn, body); err != nil {
		return
	}
	answer, err := k.answer(byte(head[0]), string(body[:head[1]]), body[head[1]:])
	if err != nil {
		answer = nil
	}
	conn.Write(append(binary.NativeEndian.AppendUint32(nil, uint32(len(answer))), answer...))
}

var errNoKey = errors.New("no such ML-DSA key")

func (k *mldsaKeys) answer(operation byte, id string, data []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if operation == 'g' {
		sets := map[uint64]mldsa.Parameters{1: mldsa.MLDSA44(), 2: mldsa.MLDSA65(), 3: mldsa.MLDSA87()} // CKP_ML_DSA_44 ...
		made, err := mldsa.GenerateKey(sets[binary.NativeEndian.Uint64(data)])
		if err != nil {
			return nil, err
		}
		k.byID[id] = made
	}
	key := k.byID[id]
	switch {
	case key == nil:
		return nil, errNoKey
	case operation == 's':
		return key.Sign(nil, data, nil)
	}
	return key.PublicKey().Bytes(), nil
}
