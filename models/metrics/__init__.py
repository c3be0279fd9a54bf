"""Metrics of risk predictions, each with direction, formula and source; no plotting."""
