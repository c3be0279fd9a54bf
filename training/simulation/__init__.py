"""Simulated critically ill patients whose true risks are known; never to be taken for real."""
