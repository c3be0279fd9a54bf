"""The commands of the service: serve, audit and keys."""
