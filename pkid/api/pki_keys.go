package api

import (
	"encoding/hex"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/ca"
	"github.com/hsmpki/hsmpki/pkid/role"
	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

var keyRoutes = []route{
	{pattern: "keys", help: "List the keys", ops: one(list, pkiListKeys)},
	{pattern: "key/:key_ref", help: "Read a key", ops: map[operation]handlerFunc{read: pkiReadKey, update: pkiRenameKey, delete: pkiDeleteKey}},
	{pattern: "keys/generate/:exported", help: "Enter a managed key, or generate one", ops: one(update, pkiGenerateKey)},
	{pattern: "keys/import", help: "Keys are not imported", ops: one(update, pkiImportKey)},
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

// keyRequest reads which key a root, a CSR or keys/generate is to have; kind is
// the path's.
func (r *request) keyRequest(kind string) (ca.KeyRequest, error) {
	p := r.params
	req := ca.KeyRequest{
		Kind: kind, TypeGiven: p.Has("key_type") || p.Has("key_bits"), Name: p.String("key_name"), Ref: p.String("key_ref"),
		ManagedName: strings.ToLower(p.String("managed_key_name")), ManagedID: p.String("managed_key_id"), RequestID: r.id,
	}
	err := req.CheckKind()
	if err != nil {
		return req, err
	}
	req.Type, req.Bits, err = role.ReadKey(p)
	return req, err
}

func keyAnswer(k *ca.Key, warnings []string) *answer {
	return &answer{data: map[string]any{"key_id": k.ID, "key_name": k.Name, "key_type": k.Type()}, warnings: warnings}
}

// pkiGenerateKey serves keys/generate/:type.
func pkiGenerateKey(_ *Handler, r *request) (*answer, error) {
	req, err := r.keyRequest(r.vars["exported"])
	if err != nil {
		return nil, err
	}
	k, warnings, err := r.mount.Authority.GenerateKey(r.ctx, &req)
	if err != nil {
		return nil, err
	}
	return keyAnswer(k, warnings), nil
}

// pkiImportKey serves keys/import by refusing it.
func pkiImportKey(*Handler, *request) (*answer, error) {
	return nil, vaultapi.BadRequest("keys/import is refused: CA keys are made in the HSM and stay there, and one that comes as a file has been elsewhere. Enter a managed key with keys/generate/kms, or have one made with keys/generate/internal")
}

// pkiRenameKey serves POST key/:ref.
func pkiRenameKey(_ *Handler, r *request) (*answer, error) {
	name := r.params.String("key_name")
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	k, warnings, err := r.mount.Authority.RenameKey(r.ctx, r.vars["key_ref"], name)
	if err != nil {
		return nil, err
	}
	return keyAnswer(k, warnings), nil
}

// pkiDeleteKey serves DELETE key/:ref.
func pkiDeleteKey(_ *Handler, r *request) (*answer, error) {
	warnings, err := r.mount.Authority.DeleteKey(r.ctx, r.vars["key_ref"])
	return &answer{warnings: warnings}, err
}

func colonHex(octets []byte) string {
	parts := make([]string, len(octets))
	for i, b := range octets {
		parts[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(parts, ":")
}
