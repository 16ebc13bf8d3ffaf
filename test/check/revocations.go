package check

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/hsmpki/hsmpki/test/daemon"
)

// revocations checks the CRL of each issuer of a mount that signs any: that it
// is signed by the issuer, that it has not lapsed, and that it has every
// certificate that is revoked. With auto_rebuild that may come later, and then
// it is looked at after crl/rotate; where CRLs are disabled they are empty. It
// checks too that OCSP says so.
func revocations(t testing.TB, p *daemon.PKID, mount string) {
	t.Helper()
	config := p.Must(t, "GET", mount+"config/crl", nil).Data
	revoked := revokedBy(t, p, mount)
	for _, id := range keys(t, p, mount+"issuers") {
		issuer := p.Must(t, "GET", mount+"issuer/"+id, nil)
		usage, _ := issuer.Data["usage"].(string)
		if issuer.Data["key_id"] == "" {
			continue
		}
		if strings.Contains(usage, "ocsp-signing") && config["ocsp_disable"] != true {
			revokedOverOCSP(t, p, mount, certificate(t, p, mount+"issuer/"+id+"/json"), revoked[id])
		}
		if !strings.Contains(usage, "crl-signing") {
			continue
		}
		if config["auto_rebuild"] == true {
			p.Must(t, "GET", mount+"crl/rotate", nil)
		}
		where := mount + " issuer " + id
		list, err := x509.ParseRevocationList(p.Must(t, "GET", mount+"issuer/"+id+"/crl/der", nil).Body)
		if err != nil {
			t.Errorf("%s: CRL: %v", where, err)
			continue
		}
		if err := list.CheckSignatureFrom(certificate(t, p, mount+"issuer/"+id+"/json")); err != nil {
			t.Errorf("%s: CRL: %v", where, err)
		}
		if list.Number == nil || list.NextUpdate.Before(time.Now()) {
			t.Errorf("%s: CRL number %v, next update %v", where, list.Number, list.NextUpdate)
		}
		if config["disable"] == true {
			continue
		}
		in := map[string]bool{}
		for _, e := range list.RevokedCertificateEntries {
			in[colonHex(e.SerialNumber.Bytes())] = true
		}
		for _, serial := range revoked[id] {
			if !in[serial] {
				t.Errorf("%s: %s is revoked and not on CRL number %v", where, serial, list.Number)
			}
		}
	}
}

// revokedBy lists the revoked certificates of each issuer.
func revokedBy(t testing.TB, p *daemon.PKID, mount string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for after := ""; ; {
		a, err := p.Request("LIST", mount+"certs/detailed?revoked=true&limit=1000&after="+after, nil)
		if err != nil {
			t.Fatal(err)
		}
		if a.Status == 404 {
			return out
		}
		info, _ := a.Data["key_info"].(map[string]any)
		for serial, details := range info {
			id := details.(map[string]any)["issuer_id"].(string)
			out[id] = append(out[id], serial)
		}
		if after, _ = a.Data["next"].(string); after == "" {
			return out
		}
	}
}
