"""Modalities, one file each: what values in [0, 1] mean, which of them may change, and in which unit."""
