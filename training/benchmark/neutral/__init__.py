"""The neutral comparison of Burk et al. (2024): its data, scores and ranks; no tuning of Osteon."""
