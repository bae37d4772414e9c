"""Inputs: modalities, budgets, validation, words as numbers, columns of tables."""
