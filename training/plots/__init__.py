"""Plots, drawn from results that were computed elsewhere."""
