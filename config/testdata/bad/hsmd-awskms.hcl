managed_key "awskms" "a" {
  access_key         = "env:KEY"
  secret_key         = "sssh"
  kms_key            = "1234abcd"
  key_type           = "DSA"
  allow_generate_key = true
}
managed_key "awskms" "b" {
  key_type = "RSA"
  curve    = "P256"
}
managed_key "awskms" "c" {
  kms_key             = "alias/c"
  key_type            = "ml-dsa-65"
  key_bits            = 65
  access_key          = "env:KEY"
  endpoint            = "http://kms.example.com"
  requests_per_second = 0
}
wire_keys {
  libraries = []
  endpoints = ["https://kms.example.com/path", "http://127.0.0.1:4566"]
  regions   = ["*", "eu-west-1", "EU West 1"]
}
managed_key "awskms" "d" {
  kms_key            = "alias/ca.2026"
  region             = "eu_west_1"
  key_type           = "Ed25519"
  allow_generate_key = true
}
