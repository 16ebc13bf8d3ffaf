tracing {
  endpoint     = "http://collector.example.com:4318"
  sample_ratio = "half"
  protocol     = "grpc"
}
