"""Defenses, one file each: how to build a network from an architecture, and the objective to train it with."""
