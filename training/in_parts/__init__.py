"""Cohorts of any length, read in parts: what is checked, predicted and judged of each."""
