storage "postgresql" {
  connection_url = "postgres://localhost/pkid"
}
listener "tcp" {
  address            = ":8200"
  tls_cert_file      = "/tls.crt"
  tls_key_file       = "/tls.key"
}
peer "alice" { policies = ["root", "issuer"] }
