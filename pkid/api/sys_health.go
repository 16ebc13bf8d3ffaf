package api

import (
	"os"
	"strings"

	"github.com/google/uuid"

	"github.com/hsmpki/hsmpki/pkid/vaultapi"
)

// compatibility is the version of Vault whose fields this API has: clients take
// from it which fields they may send. It is strict semver, without "+ent",
// which would promise engines that are not there.
const compatibility = "1.19.0"

// clusterName is what clients show for a cluster; there is one pkid in it.
const clusterName = "pkid"

// clusterID is an id of this state: it stays as long as the state does.
func (h *Handler) clusterID() string {
	if sys := h.Mounts.Get("sys/"); sys != nil {
		return sys.UUID
	}
	return ""
}

// readHealth tells load balancers and clients that requests are served. There
// is nothing to unseal and no standby, so of the codes that the query may
// override only activecode has a use.
func readHealth(h *Handler, r *request) (*answer, error) {
	for _, name := range []string{"standbycode", "sealedcode", "uninitcode", "drsecondarycode", "performancestandbycode", "activecode"} {
		if code := r.params.Int(name, 200); code < 200 || code > 599 {
			return nil, vaultapi.BadRequest("%s=%d: must be an HTTP status from 200 to 599", name, code)
		}
	}
	signing := wantsSigning(r)
	if err := r.params.Err(); err != nil {
		return nil, err
	}
	health := map[string]any{
		"initialized": true, "sealed": false, "standby": false, "performance_standby": false,
		"replication_performance_mode": "disabled", "replication_dr_mode": "disabled",
		"server_time_utc": h.Now().Unix(), "version": compatibility, "pkid_version": h.Version, "enterprise": false,
		"cluster_name": clusterName, "cluster_id": h.clusterID(), "echo_duration_ms": 0, "clock_skew_ms": 0,
	}
	status := r.params.Int("activecode", 200)
	if signing {
		return readSigning(h, r, health, status)
	}
	return &answer{status: status, bare: health}, nil
}

func readSealStatus(h *Handler, _ *request) (*answer, error) {
	return &answer{bare: map[string]any{
		"type": "shamir", "initialized": true, "sealed": false, "t": 0, "n": 0, "progress": 0, "nonce": "",
		"version": compatibility, "pkid_version": h.Version, "build_date": "", "migration": false,
		"cluster_name": clusterName, "cluster_id": h.clusterID(), "recovery_seal": false, "storage_type": h.StorageType,
	}}, nil
}

func readLeader(h *Handler, _ *request) (*answer, error) {
	return &answer{bare: map[string]any{
		"ha_enabled": false, "is_self": true, "active_time": h.started.UTC(), "leader_address": h.settings.Load().APIAddr,
		"leader_cluster_address": "", "performance_standby": false,
	}}, nil
}

func readInit(*Handler, *request) (*answer, error) {
	return &answer{bare: map[string]any{"initialized": true}}, nil
}

func readHAStatus(h *Handler, _ *request) (*answer, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	return &answer{topLevel: true, data: map[string]any{"nodes": []any{map[string]any{
		"hostname": host, "api_address": h.settings.Load().APIAddr, "cluster_address": "", "active_node": true, "last_echo": nil, "version": compatibility,
	}}}}, nil
}

// derivedID is an id for what is built in, the same for the same state.
func (h *Handler) derivedID(name string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(h.clusterID()+name)).String()
}

// accessor is an id in the form of Vault's accessors.
func (h *Handler) accessor(kind, name string) string {
	return kind + "_" + strings.ReplaceAll(h.derivedID(name), "-", "")[:8]
}
