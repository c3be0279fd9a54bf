"""Supervisor, workers and the watcher of the registry."""
