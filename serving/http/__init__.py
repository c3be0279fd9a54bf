"""HTTP: limits of requests, headers, strict JSON, metrics, and outbound requests."""
