"""What the service watches of its own models: risks and outcomes on record, and its inputs."""
