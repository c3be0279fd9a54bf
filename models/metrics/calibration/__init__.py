"""Whether risks agree with observed frequencies, and how stable they are."""
