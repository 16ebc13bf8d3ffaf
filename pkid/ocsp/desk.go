package ocsp

import (
	"crypto"
	"crypto/sha1"
	"fmt"
	"time"

	"github.com/hsmpki/hsmpki/pkid/issuance"
)

// desk is a View with its issuers by how queries name them, and what was
// answered under it.
type desk struct {
	view    *View
	issuers map[string]*issuerAt
	cache   cache
}

// issuerAt is an issuer with what answers by its own key need.
type issuerAt struct {
	*Issuer
	keyHash [sha1.Size]byte
}

// currentDesk gives the desk of the view in force. When the view has changed,
// what was answered under the one before goes with its desk, and responders go
// that are not needed any more.
func (r *Responder) currentDesk() (*desk, error) {
	view := r.source.View()
	if d := r.desk.Load(); d != nil && d.view == view {
		return d, nil
	}
	d, err := r.newDesk(view)
	if err != nil {
		return nil, err
	}
	r.desk.Store(d)
	r.keepDelegates(view)
	return d, nil
}

func (r *Responder) newDesk(view *View) (*desk, error) {
	d := &desk{view: view, issuers: map[string]*issuerAt{}, cache: cache{limit: r.cacheBytes}}
	for _, i := range view.Issuers {
		bits, err := issuance.PublicKeyBits(i.Certificate.RawSubjectPublicKeyInfo)
		if err != nil {
			return nil, fmt.Errorf("issuer %s: %w", i.Group, err)
		}
		at := &issuerAt{Issuer: i, keyHash: sha1.Sum(bits)}
		for _, hash := range hashOIDs {
			d.issuers[named(hash, digest(hash, i.Certificate.RawSubject), digest(hash, bits))] = at
		}
	}
	return d, nil
}

func digest(hash crypto.Hash, octets []byte) []byte {
	h := hash.New()
	h.Write(octets)
	return h.Sum(nil)
}

// named is a key for what a CertID says of the issuer.
func named(hash crypto.Hash, name, key []byte) string {
	return string(byte(hash)) + string(name) + string(key)
}

// issuerOf gives the one issuer that all certificates of a query are of, or nil. An answer is signed by one responder, and counts
// only for certificates of the issuer that the responder is or is certified by
// (RFC 6960, section 4.2.2.2): there is none for certificates of two issuers,
// nor of an issuer that is not ours.
func (d *desk) issuerOf(req *request, now time.Time) *issuerAt {
	var issuer *issuerAt
	for i := range req.certs {
		id := &req.certs[i]
		found := d.issuers[named(id.hash, id.nameHash, id.keyHash)]
		if found == nil || issuer != nil && found != issuer {
			return nil
		}
		issuer = found
	}
	if !now.Add(margin).Before(issuer.Certificate.NotAfter) {
		return nil
	}
	return issuer
}
