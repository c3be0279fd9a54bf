"""How a model comes to be: data sets, splits, evaluation, the training run and its commands.

It never serves a model and is never imported by `serving`.
"""
