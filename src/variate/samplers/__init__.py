"""Samplers: who makes the noise, one file each."""
