"""Callbacks of the Trainer of transformers, its batches as an attack moves them, and its pipelines as networks."""
