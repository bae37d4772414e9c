"""Architectures, one file each: from inputs in [0, 1] to logits, with normalization inside."""
