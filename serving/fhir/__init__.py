"""FHIR: from a Bundle to a question, and from an answer to a RiskAssessment."""
