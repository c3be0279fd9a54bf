"""Whether a model in use still meets the patients it was made for: inputs, risks and outcomes.

Used by `osteon monitor` and by the service. Nothing here reads a file, a registry or a database.
"""
