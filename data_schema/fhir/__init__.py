"""FHIR resources to observations, subject, encounter and history; no model, no network."""
