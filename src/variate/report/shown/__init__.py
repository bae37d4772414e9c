"""Displays of examples on the page, one file and one template per modality."""
