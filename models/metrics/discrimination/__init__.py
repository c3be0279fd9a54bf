"""How well risks and scores rank patients."""
