kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
kms_library "pkcs11" {
  name    = "nss"
  library = "/usr/lib/softokn.so"
  paths   = ["/var/lib/nss"]
  user    = "hsm-nss"
}
wire_keys {
  libraries = ["softhsm"]
  regions   = ["eu-west-1"]
  endpoints = ["https://kms.example.com"]
  constraints {
    ca = false
  }
}
managed_key "pkcs11" "k" {
  library     = "softhsm"
  token_label = "ca"
  pin         = "env:CA_PIN"
  key_label   = "k"
  mechanism = 1
  constraints {
    sign                  = ["csr", "certificate", "crl", "ocsp"]
    ca                    = true
    max_path_length       = 0
    max_ttl               = "2160h"
    max_backdate          = "1h"
    max_crl_validity      = "10d"
    permitted_dns_domains = ["example.com"]
    excluded_ip_ranges    = ["10.0.0.0/8"]
    public_key_types      = ["P256", "RSA-3072"]
    extended_key_usages   = ["server_auth", "1.3.6.1.5.5.7.3.17"]
    rate                  = 100
    burst                 = 200
  }
}
managed_key "awskms" "cloud" {
  kms_key  = "alias/cloud"
  key_type = "rsa"
  key_bits = "2048"
  region   = "eu-west-1"
}
