"""CDS Hooks 2.0.1: cards at the bedside, when they help and only then.

The mapping from FHIR is in `data_schema`, the prediction in `serving.prediction.predictor`.
"""
