"""What a cohort is worth for a prediction model, before any is trained: no model is kept."""
