"""One training run, from a cohort to a registered version."""
