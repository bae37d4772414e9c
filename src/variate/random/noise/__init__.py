"""Samplers: noise as a counter, in C, in torch, in Triton and inside traced graphs; one file each."""
