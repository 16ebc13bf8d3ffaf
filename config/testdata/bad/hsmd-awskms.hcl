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
