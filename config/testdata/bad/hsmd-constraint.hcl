kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
wire_keys {
  libraries = ["softhsm"]
  constraints {
    sign                = ["x509"]
    max_path_length     = 1
    max_ttl             = "long"
    max_backdate        = -5
    max_crl_validity    = 1.5
    permitted_ip_ranges = ["10.0.0.1/8"]
    public_key_types    = ["RSA-1024"]
    extended_key_usages = ["serverAuth"]
    burst               = 5
    ca                  = "perhaps"
  }
}
managed_key "pkcs11" "k" {
  library     = "softhsm"
  token_label = "ca"
  login       = "none"
  key_label   = "k"
  mechanism   = 1
  constraints {
    sign                  = []
    max_ttl               = 0
    excluded_ip_ranges    = ["::ffff:10.0.0.0/104"]
    permitted_dns_domains = []
    permitted_other_names = ["UPN"]
    permitted_extensions  = ["1"]
    permitted_policies    = ["anyPolicy"]
    issuer                = ["/etc/ca.pem", "file:ca.pem"]
    max_per_day           = 0
    time_zone             = "Europe/Berlin"
  }
}
