kms_library "pkcs11" {
  name    = "softhsm"
  library = "/usr/lib/softhsm/libsofthsm2.so"
}
state_dir = "var/lib"
state_key = "0123456789abcdef"
listener "tcp" {
  address     = "127.0.0.1:1"
  tls_disable = true
}
listener "unix" {
  address     = "hsmd.sock"
  socket_mode = 0660
}
listener "unix" {
  address     = "/run/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/hsmd.sock"
  socket_mode = "0999"
}
listener "udp" {
  address = "1"
}
