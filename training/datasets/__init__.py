"""One module per public data set: which columns it has, what they mean, which leak and why."""
