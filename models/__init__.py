"""What a risk model is: estimator, calibration, intervals, explanation, bundle and registry.

It does not know how a cohort is obtained (`training`) nor how a model is served (`serving`).
"""
