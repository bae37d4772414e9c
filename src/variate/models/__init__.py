"""Architectures, one file each: inputs in [0, 1] to logits, normalization inside."""
