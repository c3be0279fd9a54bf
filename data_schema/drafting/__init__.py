"""Drafting a mapping file from a cohort's headers, units and values; nothing is guessed."""
