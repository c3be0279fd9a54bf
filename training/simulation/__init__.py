"""Simulated critically ill patients whose true risks are known: not real, never taken for such."""
