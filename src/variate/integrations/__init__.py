"""Other libraries: Hugging Face, scikit-learn, Lightning, Foolbox, ART, torchmetrics; one file each."""
