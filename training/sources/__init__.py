"""The hospital's own records: what each source holds, as observations, stays and persons."""
