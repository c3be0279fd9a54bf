"""What a value means: variables, units, codes, outcomes, cohorts and the rules they obey.

No model and no network. Every other folder may import this one; this one imports none of them.
"""
