package api

import "github.com/hsmpki/hsmpki/pkid/vaultapi"

// sysRoutes are the paths that lie below no mount of an engine.
func sysRoutes() []route {
	routes := []route{
		{pattern: "sys/wrapping/wrap", help: "Keeps what is sent for one reader.", ops: map[operation]handlerFunc{update: wrapParams}},
		{pattern: "sys/wrapping/unwrap", help: "Gives what was kept, once.", stranger: true, recorded: true, ops: map[operation]handlerFunc{update: unwrap}},
		{pattern: "sys/wrapping/lookup", help: "Tells of what is kept.", stranger: true, recorded: true, ops: map[operation]handlerFunc{update: lookupWrapped, read: lookupWrapped}},
		{pattern: "sys/wrapping/rewrap", help: "Keeps it under another token.", stranger: true, recorded: true, ops: map[operation]handlerFunc{update: rewrap}},

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
		{pattern: "sys/internal/ui/mounts", help: "Lists the mounts that the caller may see.", stranger: true, ops: map[operation]handlerFunc{read: readVisibleMounts}},
		{pattern: "sys/internal/ui/mounts/*path", help: "Describes the mount that a path is in.", stranger: true, ops: map[operation]handlerFunc{read: readMountOfPath}},
		{pattern: "sys/internal/ui/resultant-acl", help: "Tells what the caller may do.", ops: map[operation]handlerFunc{read: readResultantACL}},

		{pattern: "sys/managed-keys/:type", help: "Lists the managed keys of a type.", ops: map[operation]handlerFunc{list: listManagedKeys}},
		{pattern: "sys/managed-keys/:type/:name", help: "Defines, reads and forgets a managed key. The key in the HSM is never deleted.",
			ops: map[operation]handlerFunc{read: readManagedKey, update: writeManagedKey, delete: deleteManagedKey}},
		{pattern: "sys/managed-keys/:type/:name/test/sign", help: "Signs with a managed key and verifies; makes the key where that is allowed.",
			ops: map[operation]handlerFunc{update: testManagedKey}},

		{pattern: "sys/storage/snapshot", help: "Copies the whole state, as it is at one moment.", sudo: true, ops: map[operation]handlerFunc{read: readSnapshot}},
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

		{pattern: "sys/capabilities-self", help: "Tells what the caller may do with paths.", ops: map[operation]handlerFunc{update: readOwnCapabilities}},
		{pattern: "sys/capabilities", help: "Tells what a token may do with paths.", ops: map[operation]handlerFunc{update: readCapabilities}},
		{pattern: "sys/capabilities-accessor", help: "Tells what the token of an accessor may do with paths.",
			ops: map[operation]handlerFunc{update: readCapabilitiesByAccessor}},
	}
	routes = append(routes, tokenRoutes()...)
	routes = append(routes, sysAuthRoutes...)
	routes = append(routes, auditRoutes...)
	for pattern, what := range map[string]string{
		"sys/leases/*path": "leases",
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

// tokenRoutes are the paths of tokens.
func tokenRoutes() []route {
	written := func(handle handlerFunc) map[operation]handlerFunc { return map[operation]handlerFunc{update: handle} }
	return []route{
		{pattern: "auth/token/create", help: "Makes a child of the caller's token.", ops: written(createToken)},
		{pattern: "auth/token/create/:role", help: "Makes a token by a role.", ops: written(createByRole)},
		{pattern: "auth/token/create-orphan", help: "Makes a token without a parent.", sudo: true, ops: written(createOrphan)},
		{pattern: "auth/token/lookup-self", help: "Tells who the caller is.", ops: map[operation]handlerFunc{read: lookupSelf, update: lookupSelf}},
		{pattern: "auth/token/lookup", help: "Tells of a token.", ops: written(lookupToken)},
		{pattern: "auth/token/lookup-accessor", help: "Tells of the token of an accessor.", ops: written(lookupAccessor)},
		{pattern: "auth/token/renew-self", help: "Renews the caller's token.", ops: written(renewSelf)},
		{pattern: "auth/token/renew", help: "Renews a token.", ops: written(renewToken)},
		{pattern: "auth/token/renew-accessor", help: "Renews the token of an accessor.", ops: written(renewAccessor)},
		{pattern: "auth/token/revoke-self", help: "Revokes the caller's token, and its children.", ops: written(revokeSelf)},
		{pattern: "auth/token/revoke", help: "Revokes a token and its children.", ops: written(revokeToken)},
		{pattern: "auth/token/revoke-accessor", help: "Revokes the token of an accessor, and its children.", ops: written(revokeAccessor)},
		{pattern: "auth/token/revoke-orphan", help: "Revokes a token; its children go on without a parent.", sudo: true, ops: written(revokeOrphan)},
		{pattern: "sys/leases/revoke-prefix/*path", help: "Revokes the tokens that were made at a path and below it.", sudo: true, ops: written(revokePrefix)},
		{pattern: "auth/token/accessors", help: "Lists the accessors of all tokens.", sudo: true, ops: map[operation]handlerFunc{list: listAccessors}},
		{pattern: "auth/token/tidy", help: "Deletes the tokens that have ended.", ops: written(tidyTokens)},
		{pattern: "auth/token/roles", help: "Lists the roles that tokens are made by.", ops: map[operation]handlerFunc{list: listTokenRoles}},
		{pattern: "auth/token/roles/:role", help: "Writes, reads and deletes a role that tokens are made by.",
			ops: map[operation]handlerFunc{read: readTokenRole, update: writeTokenRole, delete: deleteTokenRole}},
	}
}
