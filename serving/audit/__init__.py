"""Who asked what, when, and which model answered: the trail, its check, its end and its export.

No record holds a clinical value; patients and requests are keyed hashes.
"""
