package api

import (
	"encoding/hex"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var keyRoutes = []route{
	{pattern: "keys", help: "List the keys", ops: both(list, pkiListKeys, read, pkiListKeys)},
	{pattern: "key/:key_ref", help: "Read a key", ops: map[operation]handlerFunc{read: pkiReadKey, update: pkiNotBuilt, delete: pkiNotBuilt}},
}

// pkiListKeys serves LIST keys.
func pkiListKeys(_ *Handler, r *request) (*answer, error) {
	all, byDefault := r.mount.Authority.Keys()
	if len(all) == 0 {
		return nil, vaultapi.NotFound()
	}
	keys, info := []string{}, map[string]any{}
	for _, k := range all {
		keys = append(keys, k.ID)
		info[k.ID] = map[string]any{"key_name": k.Name, "is_default": k.ID == byDefault}
	}
	return &answer{data: map[string]any{"keys": keys, "key_info": info}}, nil
}

// pkiReadKey serves key/:ref.
func pkiReadKey(_ *Handler, r *request) (*answer, error) {
	k, err := r.mount.Authority.Key(r.vars["key_ref"])
	if err != nil {
		return nil, err
	}
	id, err := k.SubjectKeyID()
	if err != nil {
		return nil, err
	}
	data := map[string]any{
		"key_id": k.ID, "key_name": k.Name, "key_type": k.Type(), "subject_key_id": colonHex(id),
		"managed_key_name": k.ManagedName, "managed_key_id": k.ManagedUUID,
	}
	return &answer{data: data}, nil
}

func colonHex(octets []byte) string {
	parts := make([]string, len(octets))
	for i, b := range octets {
		parts[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(parts, ":")
}
