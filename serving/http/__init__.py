"""What every request passes: limits, headers, strict JSON, metrics, outbound calls."""
