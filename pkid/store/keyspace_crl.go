package store

import "encoding/binary"

// What CRLs are made of lies by group: a group is the issuers of one subject
// and one public key, whose CRL is one (package inventory makes its id).

// CRL is where it is kept which CRLs of a group were made last.
func (k Keyspace) CRL(group string) []byte { return k.key("crl/" + group) }

// CRLs bounds the records of all groups.
func (k Keyspace) CRLs() (start, end []byte) { return bounds(k.key("crl/")) }

// CRLData is where a part of a CRL's DER lies. kind is "complete" or "delta".
func (k Keyspace) CRLData(group, kind string, number uint64, part uint32) []byte {
	key := binary.BigEndian.AppendUint64(k.key("crldata/"+group+"/"+kind+"/"), number)
	return binary.BigEndian.AppendUint32(key, part)
}

// CRLParts bounds the parts of one CRL; number 0 those of all of its kind.
func (k Keyspace) CRLParts(group, kind string, number uint64) (start, end []byte) {
	all := k.key("crldata/" + group + "/" + kind + "/")
	if number == 0 {
		return bounds(all)
	}
	start = binary.BigEndian.AppendUint64(append([]byte(nil), all...), number)
	return start, binary.BigEndian.AppendUint64(append([]byte(nil), all...), number+1)
}

// CRLEntry is where the entry of a revoked certificate lies, encoded.
func (k Keyspace) CRLEntry(group string, serial []byte) []byte {
	return k.key("crlentry/"+group+"/", serial)
}

// CRLEntries bounds all entries of a group.
func (k Keyspace) CRLEntries(group string) (start, end []byte) {
	return bounds(k.key("crlentry/" + group + "/"))
}

// CRLNew is where the entry lies once more for delta CRLs, by the generation
// of complete CRLs in which the certificate was revoked.
func (k Keyspace) CRLNew(group string, generation uint64, serial []byte) []byte {
	return append(binary.BigEndian.AppendUint64(k.key("crlnew/"+group+"/"), generation), serial...)
}

// CRLNewSince bounds these entries from a generation on.
func (k Keyspace) CRLNewSince(group string, generation uint64) (start, end []byte) {
	_, end = bounds(k.key("crlnew/" + group + "/"))
	return k.CRLNew(group, generation, nil), end
}

// CRLNewBefore bounds the entries of the generations before one.
func (k Keyspace) CRLNewBefore(group string, generation uint64) (start, end []byte) {
	return k.key("crlnew/" + group + "/"), k.CRLNew(group, generation, nil)
}

// Generation is where a group's generation is kept.
func (k Keyspace) Generation(group string) []byte { return k.key("generation/" + group) }
