"""Calibration and discrimination in one number, and the observed curves behind it."""
