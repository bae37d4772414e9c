"""Data sets, one file each: a split's inputs in [0, 1] and integer labels."""
