"""The commands of training, and how their results are printed."""
