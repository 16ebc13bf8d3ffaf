tracing { endpoint = "https://pkid:hunter/2@collector.example.com" }
