"""The audit trail: who requested what, when, and which model answered; its checks and export.

No record holds a clinical value; patients and requests are keyed hashes.
"""
