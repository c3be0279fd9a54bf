"""The mapping file: which column of a site is which variable, in which unit."""
