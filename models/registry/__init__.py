"""Bundles, MLflow models, versions, the gate and tracking."""
