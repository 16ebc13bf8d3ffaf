tracing { endpoint = "https://pkid:hunter2@collector.example.com" }
