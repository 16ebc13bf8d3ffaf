# pkid's configuration. What is left out has defaults that will do. After a
# change of peers, certificates or log_level: systemctl reload pkid.

storage "pebble" { path = "/var/lib/pkid" }

hsmd { address = "/run/hsmd/hsmd.sock" }

# For the commands on this machine: root and user pkid have the root policy.
listener "unix" { address = "/run/pkid/pkid.sock" }

# listener "tcp" {
#   address       = "0.0.0.0:8200"
#   tls_cert_file = "/etc/pkid/tls.crt"
#   tls_key_file  = "/etc/pkid/tls.key"
# }
# api_addr = "https://ca.example.com:8200"

# Traces of requests, through pkid and hsmd, by OTLP over HTTP.
# tracing { endpoint = "http://127.0.0.1:4318" }
