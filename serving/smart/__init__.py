"""The page opened from an EHR: the server reads the patient's record into the form.

It predicts nothing: the clinician checks the values and sends them like any other entry.
"""
