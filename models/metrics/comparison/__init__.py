"""Comparing two sets of risks: paired changes, net benefit, nested models."""
