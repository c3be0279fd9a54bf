"""CDS Hooks 2.0.1: cards at the bedside, only when they help.

The mapping from FHIR is in `data_schema`, the prediction in `serving.prediction.predictor`.
"""
