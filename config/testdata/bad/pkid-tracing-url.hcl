tracing { endpoint = "collector.example.com:4318" }
