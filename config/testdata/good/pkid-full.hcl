storage "pebble" { path = "/srv/pkid" }
hsmd {
  address = "/run/hsmd/hsmd.sock"
  user    = "hsmd"
}
listener "unix" {
  address     = "/run/pkid/pkid.sock"
  socket_mode = "666"
}
listener "tcp" {
  address       = "0.0.0.0:8200"
  tls_cert_file = "/etc/pkid/tls.crt"
  tls_key_file  = "/etc/pkid/tls.key"
  tls_client_ca_file = "/etc/pkid/clients.crt"
}
listener "tcp" {
  address     = "127.0.0.1:8201"
  tls_disable = 1
  telemetry { unauthenticated_metrics_access = true }
  x_forwarded_for_authorized_addrs = "127.0.0.1, 2001:db8::/32"
}
peer "root" { policies = ["root"] }
peer "web team" {
  group    = 33
  policies = ["root"]
}
api_addr  = "https://ca.example.com:8200"
log_level = "warn"
blocked_keys = ["/etc/pkid/blocked", "/usr/share/openssl-blacklist/blacklist.RSA-4096"]
audit_log = "/var/log/pkid/audit.log"
tracing {
  endpoint     = "https://collector.example.com:4318/tenant"
  sample_ratio = 0.25
}
