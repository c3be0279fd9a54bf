"""Plots of results that are computed elsewhere."""
