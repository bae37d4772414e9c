"""Statistics of answers: rates with intervals, survival, resampling, comparisons. NumPy only; knows no records."""
