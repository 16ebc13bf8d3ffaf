kms_library "pkcs11" {
}
wire_keys {
}
internal_keys {
}
listener "unix" {
}
client "c" {
}
managed_key "pkcs11" "k" {
}
