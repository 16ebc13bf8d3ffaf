package auditlog

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
)

// encode gives what json.Marshal gives of an entry, from after the opening brace.
// Two lines for each signature are worth writing by hand: reflection takes three
// times as long.
func (e *Entry) encode() ([]byte, error) {
	w := object{b: make([]byte, 0, 1024+2*len(e.TBS))}
	w.time("time", e.Time)
	w.name("kind")
	w.quote(string(e.Kind))
	w.text("key", e.Key)
	w.hash("spki", e.SPKI)
	w.text("scheme", e.Scheme)
	w.text("serial", e.Serial)
	w.text("issuer", e.Issuer)
	w.text("subject", e.Subject)
	w.texts("names", e.Names)
	if e.CA {
		w.name("ca")
		w.b = append(w.b, "true"...)
	}
	w.time("not_before", e.NotBefore)
	w.time("not_after", e.NotAfter)
	w.text("number", e.Number)
	w.text("base", e.Base)
	w.number("count", int64(e.Count))
	w.octets("issuer_name", e.IssuerName)
	w.octets("issuer_key", e.IssuerKey)
	w.texts("serials", e.Serials)
	w.number("size", e.Size)
	w.hash("sha256", e.SHA256)
	w.octets("tbs", e.TBS)
	if e.Peer != nil {
		w.peer("peer", e.Peer)
	}
	w.text("context", e.Context)
	w.octets("signature", e.Signature)
	w.hash("signature_sha256", e.SignatureSHA256)
	w.text("error", e.Error)
	w.text("reason", e.Reason)
	w.text("approver", e.Approver)
	w.text("approval", e.Approval)
	w.text("statement", e.Statement)
	w.text("version", e.Version)
	w.number("cut", e.Cut)
	w.text("verifier", e.Verifier)
	return append(w.b, '}'), w.err
}

// object is a JSON object that is being written; what is empty is left out.
type object struct {
	b    []byte
	more bool // something stands before the next name
	err  error
}

// name is one of ours, which need no escapes.
func (w *object) name(s string) {
	if w.more {
		w.b = append(w.b, ',')
	}
	w.more = true
	w.b = append(append(append(w.b, '"'), s...), '"', ':')
}

// quote leaves what needs escapes to encoding/json.
func (w *object) quote(s string) {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			quoted, err := json.Marshal(s)
			if err != nil {
				w.err = err
			}
			w.b = append(w.b, quoted...)
			return
		}
	}
	w.b = append(append(append(w.b, '"'), s...), '"')
}

func (w *object) text(name, s string) {
	if s != "" {
		w.name(name)
		w.quote(s)
	}
}

func (w *object) texts(name string, all []string) {
	if len(all) == 0 {
		return
	}
	w.name(name)
	for i, s := range all {
		w.b = append(w.b, "[,"[min(i, 1)])
		w.quote(s)
	}
	w.b = append(w.b, ']')
}

func (w *object) number(name string, n int64) {
	if n != 0 {
		w.name(name)
		w.b = strconv.AppendInt(w.b, n, 10)
	}
}

func (w *object) octets(name string, octets []byte) {
	if len(octets) > 0 {
		w.name(name)
		w.b = append(base64.StdEncoding.AppendEncode(append(w.b, '"'), octets), '"')
	}
}

func (w *object) hash(name string, h Hash) {
	if h != (Hash{}) {
		w.name(name)
		w.b = append(hex.AppendEncode(append(w.b, '"'), h[:]), '"')
	}
}

// time refuses years that RFC 3339 cannot have.
func (w *object) time(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	w.name(name)
	b, err := t.AppendText(append(w.b, '"'))
	if err != nil {
		w.err = err
		return
	}
	w.b = append(b, '"')
}

func (w *object) peer(name string, p *Peer) {
	w.name(name)
	w.b = strconv.AppendUint(append(w.b, `{"uid":`...), uint64(p.UID), 10)
	w.b = strconv.AppendUint(append(w.b, `,"gid":`...), uint64(p.GID), 10)
	w.b = strconv.AppendInt(append(w.b, `,"pid":`...), int64(p.PID), 10)
	w.texts("client", p.Client)
	w.b = append(w.b, '}')
}
