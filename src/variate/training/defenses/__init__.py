"""Defenses, one file each: how a network is built from an architecture, and the objective it is trained with."""
