"""The clinician's page: what it shows of the catalogue and the models, its templates, its files.

It predicts nothing itself: its script asks `/v1/predict` like any other client.
"""
