"""The draft of a study's protocol: what to fix before a panel of markers is judged. No fit."""
