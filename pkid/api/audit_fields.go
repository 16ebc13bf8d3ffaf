package api

import "strings"

// What may be read in the audit log. A name that is not here is an HMAC there:
// private_key, pem_bundle, pin, access_key, secret_key, token, id, accessor,
// secret_id, role_id and jwt are left out on purpose, and so is what somebody
// adds and does not think of.

func names(text string) map[string]bool {
	set := map[string]bool{}
	for _, name := range strings.Fields(text) {
		set[name] = true
	}
	return set
}

// readablePKI are the fields of certificates, and of what decides about them.
var readablePKI = names(`
	common_name alt_names ip_sans uri_sans other_sans serial_number user_ids ou organization country locality province
	street_address postal_code subject ttl max_ttl not_after not_before not_before_duration not_after_bound not_before_bound
	format private_key_format exclude_cn_from_sans remove_roots_from_chain use_csr_values use_csr_common_name use_csr_sans
	csr key_type key_bits signature_bits use_pss key_usage ext_key_usage ext_key_usage_oids policy_identifiers
	basic_constraints_valid_for_non_ca max_path_length skid add_basic_constraints
	permitted_dns_domains excluded_dns_domains permitted_ip_ranges excluded_ip_ranges permitted_email_addresses
	excluded_email_addresses permitted_uri_domains excluded_uri_domains

	role name type exported issuer_ref issuer_name issuer_id key_ref key_name key_id default managed_key_name managed_key_id
	usage leaf_not_after_behavior manual_chain revocation_signature_algorithm issuing_certificates
	crl_distribution_points delta_crl_distribution_points ocsp_servers enable_aia_url_templating enable_templating

	allow_localhost allowed_domains allowed_domains_template allow_bare_domains allow_subdomains allow_glob_domains
	allow_wildcard_certificates allow_any_name enforce_hostnames allow_ip_sans allowed_uri_sans allowed_uri_sans_template
	allowed_other_sans allowed_serial_numbers allowed_user_ids allow_token_displayname server_flag client_flag
	code_signing_flag email_protection_flag cn_validations require_cn generate_lease no_store no_store_metadata

	expiry disable ocsp_disable ocsp_expiry auto_rebuild auto_rebuild_grace_period enable_delta delta_rebuild_interval
	next_update crl_number delta_crl_base_number reason revocation_reason
	tidy_cert_store tidy_revoked_certs tidy_revoked_cert_issuer_associations tidy_expired_issuers safety_buffer
	issuer_safety_buffer pause_duration enabled interval_duration

	certificate expiration revocation_time revocation_time_rfc3339 state approval_id valid_until keys key_info
	imported_issuers imported_keys existing_issuers existing_keys`)

// readableSys are the fields of mounts, policies and the definitions of keys.
var readableSys = names(`
	path paths type name description from to migration_id config default_lease_ttl max_lease_ttl listing_visibility
	allowed_managed_keys audit_non_hmac_request_keys audit_non_hmac_response_keys passthrough_request_headers
	allowed_response_headers local seal_wrap
	policy rules keys key_info capabilities
	library slot token_label token_serial key_label key_id mechanism curve key_bits max_parallel any_mount
	allow_generate_key allow_store_key allow_replace_key force_rw_session kms_key region endpoint uuid
	status approval_id`)

// readableAuth are what tokens and ways to log in are made of, other than what
// lets anybody in.
var readableAuth = names(`
	policies token_policies display_name ttl explicit_max_ttl period num_uses renewable type no_parent no_default_policy
	role role_name increment orphan path_suffix allowed_policies disallowed_policies allowed_policies_glob
	disallowed_policies_glob allowed_entity_aliases bound_cidrs token_bound_cidrs token_ttl token_max_ttl token_period
	token_explicit_max_ttl token_num_uses token_no_default_policy token_type creation_time creation_ttl expire_time
	issue_time path keys key_info

	bind_secret_id secret_id_bound_cidrs secret_id_num_uses secret_id_ttl local_secret_ids cidr_list token_bound_cidr_list
	role_type bound_audiences bound_subject bound_claims bound_claims_type claim_mappings user_claim groups_claim
	bound_issuer default_role jwks_url oidc_discovery_url jwt_supported_algs kubernetes_host issuer
	bound_service_account_names bound_service_account_namespaces audience`)
