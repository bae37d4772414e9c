"""Code of single modalities that has files of its own."""
