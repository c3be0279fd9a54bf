"""A cohort table: its files, the plan of its columns, and the rules that it is checked by."""
