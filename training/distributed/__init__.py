"""Work on the machines of a Dask cluster: who does it, never what is computed."""
