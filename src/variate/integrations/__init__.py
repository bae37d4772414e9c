"""Integrations: Hugging Face, transformers, scikit-learn, Lightning, Foolbox and ART, torchmetrics, MAITE."""
