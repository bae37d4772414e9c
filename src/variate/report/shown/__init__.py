"""What the page shows of an example: a file and a template for each modality, named for it."""
