"""Copies of what the service must never lose: audit trail, signed head and registry of models."""
