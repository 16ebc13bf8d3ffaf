peer "alice" { user = "al" }
peer "bob" { policies = ["root"] }
peer "bob" { policies = ["Root"] }
api_addr = "ca.example.com"
