"""Authentication: keys, tokens, sessions and roles, and the gate that every request passes."""
