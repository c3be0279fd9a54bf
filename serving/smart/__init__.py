"""The page opened out of an EHR: its patient's record, read on the server and laid into the form.

It scores nothing: what was read is shown, checked by the clinician and sent like any other entry.
"""
