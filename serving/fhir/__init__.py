"""FHIR in and out: a Bundle becomes a question, an answer becomes a RiskAssessment."""
