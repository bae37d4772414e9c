"""Integrations, one file each: Hugging Face, scikit-learn, Lightning, Foolbox and ART, torchmetrics."""
