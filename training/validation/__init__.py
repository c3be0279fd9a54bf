"""Judging a model or a procedure on patients it has not learned from."""
