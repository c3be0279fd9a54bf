"""Errors as RFC 9457 problem details and FHIR OperationOutcomes; never a patient's value."""
