"""The catalogue's entries, filed by pathway: each variable is one entry in one file.

`data_schema/biomarkers.py` puts them together; nothing else imports these files.
"""
