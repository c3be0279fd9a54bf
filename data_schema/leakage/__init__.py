"""Columns that look like the outcome, named before any model is fitted."""
