"""The clinician's page: its form, the facts about the models, its templates and files.

It predicts nothing itself: its script calls `/v1/predict` like any other client.
"""
