"""Samplers: counter-based noise in C, in torch, in Triton and inside traced graphs; one file each."""
