"""Metrics of patients who are read in parts: sums over the parts, never all rows at once."""
