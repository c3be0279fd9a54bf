"""Who may come in: keys, tokens and roles, and the gate that every request passes."""
