"""Osteon and its peers on the same splits."""
