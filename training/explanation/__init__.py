"""Explanations of a whole cohort, and of synthetic patients."""
