"""One module per group of endpoints, each a thin layer over the other folders."""
