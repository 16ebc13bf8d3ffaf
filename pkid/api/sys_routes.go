package api

import "github.com/hsmpki/hsmpki/pkid/vaultapi"

// sysRoutes are the paths that lie below no mount of an engine.
func sysRoutes() []route {
	routes := []route{
		{pattern: "sys/health", help: "Tells whether pkid is ready.", stranger: true, ops: map[operation]handlerFunc{read: readHealth}},
		{pattern: "sys/seal-status", help: "Tells versions and that nothing is sealed.", stranger: true, ops: map[operation]handlerFunc{read: readSealStatus}},
		{pattern: "sys/leader", help: "Tells that this pkid is the only one.", stranger: true, ops: map[operation]handlerFunc{read: readLeader}},
		{pattern: "sys/init", help: "Tells that pkid is initialized.", stranger: true, ops: map[operation]handlerFunc{read: readInit}},
		{pattern: "sys/ha-status", help: "Lists the pkid processes that serve this state.", ops: map[operation]handlerFunc{read: readHAStatus}},

		{pattern: "sys/mounts", help: "Lists the mounts.", ops: map[operation]handlerFunc{read: readMounts}},
		{pattern: "sys/mounts/*path", help: "Enables, reads and disables the mount at a path.",
			ops: map[operation]handlerFunc{read: readMount, update: enableMount, delete: disableMount}},
		{pattern: "sys/mounts/*path/tune", help: "Reads and changes the settings of a mount.",
			ops: map[operation]handlerFunc{read: readTune, update: tuneMount}},
		{pattern: "sys/remount", help: "Moves a mount, with all that it has, to another path.", sudo: true, ops: map[operation]handlerFunc{update: remount}},
		{pattern: "sys/remount/status/:migration_id", help: "Tells how a move went.", ops: map[operation]handlerFunc{read: readRemount}},
		{pattern: "sys/auth", help: "Lists the ways to log in.", ops: map[operation]handlerFunc{read: readAuth}},
		{pattern: "sys/internal/ui/mounts", help: "Lists the mounts that the caller may see.", stranger: true, ops: map[operation]handlerFunc{read: readVisibleMounts}},
		{pattern: "sys/internal/ui/mounts/*path", help: "Describes the mount that a path is in.", stranger: true, ops: map[operation]handlerFunc{read: readMountOfPath}},
		{pattern: "sys/internal/ui/resultant-acl", help: "Tells what the caller may do.", ops: map[operation]handlerFunc{read: readResultantACL}},

		{pattern: "sys/managed-keys/:type", help: "Lists the managed keys of a type.", ops: map[operation]handlerFunc{list: listManagedKeys}},
		{pattern: "sys/managed-keys/:type/:name", help: "Defines, reads and forgets a managed key. The key in the HSM is never deleted.",
			ops: map[operation]handlerFunc{read: readManagedKey, update: writeManagedKey, delete: deleteManagedKey}},
		{pattern: "sys/managed-keys/:type/:name/test/sign", help: "Signs with a managed key and verifies; makes the key where that is allowed.",
			ops: map[operation]handlerFunc{update: testManagedKey}},

		{pattern: "sys/approvals", help: "Lists the requests that wait for approval at hsmd.", ops: map[operation]handlerFunc{read: listApprovals, list: listApprovals}},
		{pattern: "sys/approvals/:id", help: "Asks again for what waited for approval.", ops: map[operation]handlerFunc{read: readApproval, delete: deleteApproval}},

		{pattern: "sys/metrics", help: "Tells what is counted and measured, in Prometheus' text format.", watched: true, ops: map[operation]handlerFunc{read: readMetrics}},
		{pattern: "sys/hsm/status", help: "Tells how hsmd, its libraries and their tokens are.", ops: map[operation]handlerFunc{read: readHSMStatus}},

		{pattern: "sys/policies/acl", help: "Lists the policies.", ops: map[operation]handlerFunc{read: listPolicies, list: listPolicies}},
		{pattern: "sys/policies/acl/:name", help: "Writes, reads and deletes a policy.",
			ops: map[operation]handlerFunc{read: readPolicy, update: writePolicy, delete: deletePolicy}},
		{pattern: "sys/policy", help: "Lists the policies.", ops: map[operation]handlerFunc{read: listPolicies, list: listPolicies}},
		{pattern: "sys/policy/:name", help: "Writes, reads and deletes a policy.",
			ops: map[operation]handlerFunc{read: readPolicy, update: writePolicy, delete: deletePolicy}},

		{pattern: "sys/capabilities-self", help: "Tells what the caller may do with paths.", ops: map[operation]handlerFunc{update: readCapabilities}},
		{pattern: "auth/token/lookup-self", help: "Tells who the caller is.", ops: map[operation]handlerFunc{read: lookupSelf, update: lookupSelf}},
		{pattern: "auth/token/renew-self", help: "Renews the caller's token.", ops: map[operation]handlerFunc{update: renewSelf}},
	}
	for pattern, what := range map[string]string{
		"auth/token/create": "tokens", "auth/token/create/:role": "tokens", "auth/token/create-orphan": "tokens",
		"auth/token/lookup": "tokens", "auth/token/lookup-accessor": "tokens", "auth/token/renew": "tokens", "auth/token/renew-accessor": "tokens",
		"auth/token/revoke": "tokens", "auth/token/revoke-self": "tokens", "auth/token/revoke-accessor": "tokens", "auth/token/revoke-orphan": "tokens",
		"auth/token/accessors": "tokens", "sys/capabilities": "tokens", "sys/capabilities-accessor": "tokens",
		"sys/auth/*path": "ways to log in", "sys/audit": "the audit log", "sys/audit/*path": "the audit log",
		"sys/wrapping/:what": "response wrapping", "sys/leases/*path": "leases",
	} {
		routes = append(routes, notBuilt(pattern, what))
	}
	return routes
}

// notBuilt is a path of what a later version brings: an answer that says so,
// where "unsupported path" would send people to look for a mistake of theirs.
func notBuilt(pattern, what string) route {
	refuse := func(*Handler, *request) (*answer, error) { return nil, vaultapi.BadRequest("%s: not built yet", what) }
	return route{pattern: pattern, help: what + ": not built yet", ops: map[operation]handlerFunc{read: refuse, list: refuse, update: refuse, patch: refuse, delete: refuse}}
}
