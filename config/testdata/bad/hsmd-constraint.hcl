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
