tracing {
  sample_ratio = 1.5
}
tracing {
  endpoint = "https://collector.example.com"
}
