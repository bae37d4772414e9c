"""Kinds of inputs, one file each: what values in [0, 1] stand for, what may be touched, and in which unit."""
