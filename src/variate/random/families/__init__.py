"""Families of distributions for one parameter tensor, one file each."""
