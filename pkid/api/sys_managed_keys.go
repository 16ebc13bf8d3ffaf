package api

import (
	"errors"
	"slices"
	"strings"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
	"github.com/hsmpki/hsmpki/wire"
)

// knownKeyTypes are the backends of managed keys; of the others that Vault
// has, clients look for the words of unsupportedType to go on without them.
var knownKeyTypes = []string{"pkcs11", "awskms"}

func keyType(r *request) (string, error) {
	kind := r.vars["type"]
	if !slices.Contains(knownKeyTypes, kind) {
		return "", vaultapi.BadRequest("unsupported managed key type %q", kind)
	}
	return kind, nil
}

// keyName is the name in the path; names are lower case.
func keyName(r *request) string { return strings.ToLower(r.vars["name"]) }

// listManagedKeys lists the definitions. Keys that hsmd made and named are no
// definitions of anybody's.
func listManagedKeys(h *Handler, r *request) (*answer, error) {
	kind, err := keyType(r)
	if err != nil {
		return nil, err
	}
	described, err := h.Keys.Describe(r.ctx, &wire.DescribeRequest{})
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, key := range described.Keys {
		if key.Definition.Type == kind && key.Source != wire.SourceInternal {
			names = append(names, key.Definition.Name)
		}
	}
	if len(names) == 0 {
		return nil, vaultapi.NotFound()
	}
	return &answer{data: map[string]any{"keys": names}}, nil
}

func readManagedKey(h *Handler, r *request) (*answer, error) {
	kind, err := keyType(r)
	if err != nil {
		return nil, err
	}
	key, err := h.managedKey(r, kind)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, vaultapi.NotFound()
	}
	return &answer{data: describeKey(&key.Definition)}, nil
}

// managedKey asks hsmd for the definition that the path names, nil if there is
// none.
func (h *Handler) managedKey(r *request, kind string) (*wire.KeyInfo, error) {
	described, err := h.Keys.Describe(r.ctx, &wire.DescribeRequest{Key: keyName(r)})
	if errors.Is(err, wire.UnknownKey) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, key := range described.Keys {
		if key.Definition.Name == keyName(r) && key.Definition.Type == kind && key.Source != wire.SourceInternal {
			return &key, nil
		}
	}
	return nil, nil
}

// writeManagedKey hands a definition to hsmd, which keeps it and decides
// whether it may be. It replaces an earlier one whole; no token is asked.
func writeManagedKey(h *Handler, r *request) (*answer, error) {
	kind, err := keyType(r)
	if err != nil {
		return nil, err
	}
	definition, err := definitionOf(r.params, kind, keyName(r))
	if err != nil {
		return nil, err
	}
	_, err = h.Keys.Configure(r.ctx, &wire.ConfigureRequest{Definition: *definition})
	return nil, err
}

// deleteManagedKey forgets a definition. The key in the HSM stays.
func deleteManagedKey(h *Handler, r *request) (*answer, error) {
	kind, err := keyType(r)
	if err != nil {
		return nil, err
	}
	key, err := h.managedKey(r, kind)
	if err != nil || key == nil {
		return nil, err
	}
	if users := h.Mounts.NamedIn(keyName(r)); len(users) > 0 {
		return nil, vaultapi.BadRequest("managed key %q is in allowed_managed_keys of %s; take it out there first", keyName(r), strings.Join(users, ", "))
	}
	_, err = h.Keys.Forget(r.ctx, &wire.ForgetRequest{Key: keyName(r)})
	if errors.Is(err, wire.UnknownKey) {
		return nil, nil // somebody else was faster
	}
	return nil, err
}
