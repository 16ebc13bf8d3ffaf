listener "tcp" {
  address = "127.0.0.1"
}
listener "tcp" {
  address     = "0.0.0.0:8200"
  tls_disable = true
}
listener "tcp" {
  address       = "0.0.0.0:8201"
  tls_cert_file = "tls.crt"
}
listener "tcp" {
  address       = "localhost:8202"
  tls_disable   = true
  tls_cert_file = "/tls.crt"
  socket_mode   = "0660"
}
listener "tcp" {
  address     = "localhost:8202"
  tls_disable = true
}
listener "tcp" {
  address     = "127.0.0.1:8203"
  tls_disable = true
  x_forwarded_for_authorized_addrs = ["10.0.0.0/8", "proxy.example.com", "10.0.0.1/8"]
}
listener "quic" {
  address     = "localhost:8202"
}
