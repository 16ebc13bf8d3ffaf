package bench_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
)

// caller is one client with one connection. It writes its request by hand and
// reads no more of the answer than it must: what it uses of the cores is not
// there for the daemons.
type caller struct {
	conn    net.Conn
	in      *bufio.Reader
	request []byte
	want    []byte // what is in each right answer
}

func newCaller(b *testing.B, conn net.Conn, request []byte, want string) *caller {
	b.Helper()
	b.Cleanup(func() { conn.Close() })
	return &caller{conn, bufio.NewReaderSize(conn, 64<<10), request, []byte(want)}
}

// post is a whole request to a path below /v1/.
func post(path, contentType, body string) []byte {
	return fmt.Appendf(nil, "POST /v1/%s HTTP/1.1\r\nHost: pkid\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", path, contentType, len(body), body)
}

// withToken is a request that shows a token, if there is one.
func withToken(request []byte, id string) []byte {
	if id == "" {
		return request
	}
	return bytes.Replace(request, []byte("Host:"), []byte("X-Vault-Token: "+id+"\r\nHost:"), 1)
}

// ask sends the request and reads the answer, which has to be a right one.
func (c *caller) ask() error {
	_, err := c.answer()
	return err
}

// answer is ask, and gives what was read, until the next.
func (c *caller) answer() ([]byte, error) {
	if _, err := c.conn.Write(c.request); err != nil {
		return nil, err
	}
	status, err := c.in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	length := 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return nil, err
			}
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
	}
	answer, err := c.in.Peek(length)
	if err == nil && (!strings.HasPrefix(status, "HTTP/1.1 200") || !bytes.Contains(answer, c.want)) {
		return nil, fmt.Errorf("%s%.1000q", status, answer)
	}
	_, discardErr := c.in.Discard(length)
	return answer, errors.Join(err, discardErr)
}
