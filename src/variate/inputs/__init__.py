"""Inputs: modalities, budgets, validation, encoded words, table columns."""
